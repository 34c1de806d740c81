/** Optional values, written and read without looking for their branch: most fields of an event are such. */
import avsc from 'avsc'

type Tap = { readLong(): number; writeLong(value: number): void }
type Branch = { _read(tap: Tap): unknown; _write(tap: Tap, value: unknown): void }
type UnionClass = new (schema: avsc.Schema, options: unknown) => avsc.Type & { readonly types: readonly Branch[] }

const UnwrappedUnion = avsc.types.UnwrappedUnionType as unknown as UnionClass

/** The union [null, X] where X is never written as null. avsc's own finds the branch by the kind of each value. */
class NullableType extends UnwrappedUnion {
  _write(tap: Tap, value: unknown): void {
    if (value === null || value === undefined) {
      tap.writeLong(0)
    } else {
      tap.writeLong(1)
      this.types[1]!._write(tap, value)
    }
  }

  _read(tap: Tap): unknown {
    return tap.readLong() === 0 ? null : this.types[1]!._read(tap)
  }
}

/** A hook for `avsc.Type.forSchema`. */
export function nullableHook(schema: avsc.Schema, options: unknown): avsc.Type | undefined {
  if (!Array.isArray(schema) || schema.length !== 2 || schema[0] !== 'null') return undefined
  return new NullableType(schema, options)
}
