/** Cutting a hand-over into records that stay below the bound on a record. */
import { schemaType } from '../../schemas/avro/index.ts'
import type { Fragment, Handover } from '../../schemas/avro/types.ts'

/** Leaves room in a record for its framing and headers. */
const partBytesMax = 200 * 1024

/** At least one part; the first carries all but the fragments, so that it tells first what else is to come. */
export function partsOf(handover: Handover): readonly Handover[] {
  const groups: Fragment[][] = [[]]
  let bytes = encodedBytes('Handover', { ...handover, fragments: [] })
  for (const fragment of handover.fragments) {
    const own = encodedBytes('Fragment', fragment)
    if (bytes + own > partBytesMax) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(fragment)
    bytes += own
  }
  return groups.map((fragments, i) => ({
    ...handover,
    part: i + 1,
    parts: groups.length,
    fragments,
    ...(i > 0 ? { handovers: [], memberships: [], sent: [] } : {}),
  }))
}

function encodedBytes(schema: 'Fragment' | 'Handover', value: Fragment | Handover): number {
  return schemaType(schema).toBuffer(value).length
}
