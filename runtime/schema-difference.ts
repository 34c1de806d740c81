/** Why one Avro schema cannot read what was written under another: the first field in the way, in words. */
import avsc from 'avsc'

type Field = { readonly name: string; readonly type: avsc.Type; defaultValue(): unknown }
/** Members that types of some kinds have; avsc does not say which. */
type Parts = {
  readonly fields?: readonly Field[]
  readonly itemsType?: avsc.Type
  readonly valuesType?: avsc.Type
  readonly types?: readonly avsc.Type[]
}

/** Null when the reader's schema reads all that the writer's wrote. Both stand by themselves: every type is written out. */
export function schemaDifference(reader: avsc.Schema, writer: avsc.Schema): string | null {
  const [reading, writing] = [reader, writer].map((schema) => avsc.Type.forSchema(schema, { wrapUnions: false }))
  return readingFault(reading!, writing!) === null ? null : differenceAt('', reading!, writing!)
}

function differenceAt(path: string, reader: avsc.Type, writer: avsc.Type): string {
  const reading = reader as Parts
  const writing = writer as Parts
  if (reader.name === writer.name && reading.fields && writing.fields) {
    for (const field of reading.fields) {
      const at = path ? `${path}.${field.name}` : field.name
      const written = writing.fields.find(({ name }) => name === field.name)
      if (!written) {
        if (field.defaultValue() === undefined)
          return `field ${at}: the reader wants it and has no default; the writer has none`
      } else if (readingFault(field.type, written.type) !== null) {
        return differenceAt(at, field.type, written.type)
      }
    }
  }
  if (reading.itemsType && writing.itemsType) return differenceAt(`${path}[]`, reading.itemsType, writing.itemsType)
  if (reading.valuesType && writing.valuesType) return differenceAt(`${path}{}`, reading.valuesType, writing.valuesType)
  // Of a union, the branch that has no place tells more than the whole.
  const branch = writing.types?.find((type) => readingFault(reader, type) !== null)
  const place = reading.types?.find((type) => type.name !== undefined && type.name === branch?.name)
  if (branch && place) return differenceAt(path, place, branch)
  const written = branch ? `${textOf(writer)}, of which ${textOf(branch)} has no place` : textOf(writer)
  return `${path ? `field ${path}` : 'the whole'}: the reader has ${textOf(reader)}, the writer ${written}`
}

function readingFault(reader: avsc.Type, writer: avsc.Type): unknown {
  try {
    reader.createResolver(writer)
    return null
  } catch (fault) {
    return fault
  }
}

/** A type by its name where it has one; `string`, `null | int`, `array of long`. */
function textOf(type: avsc.Type): string {
  const { types, itemsType, valuesType } = type as Parts
  if (types) return types.map(textOf).join(' | ')
  if (itemsType) return `array of ${textOf(itemsType)}`
  if (valuesType) return `map of ${textOf(valuesType)}`
  return type.name ?? type.typeName
}
