/** Addresses with their last parts hidden. */
import ipaddr from 'ipaddr.js'
import type { Definitions } from '../../../schemas/definitions.ts'
import type { Enrichment } from './enrichment.ts'

export function ipAnonymisation({ enrichments: { ipAnonymisation: rule } }: Definitions): Enrichment | null {
  if (!rule) return null
  return (draft) => {
    if (draft.user_ipaddress !== null) draft.user_ipaddress = anonymous(draft.user_ipaddress, rule)
  }
}

/**
 * `94.15.223.151` without its last octet is `94.15.223.x`; `::1` without its last three segments `0:0:0:0:0:x:x:x`; an
 * IPv4 address within an IPv6 one is treated as the former. What was hidden before stays. Null for what is no address,
 * as half of it may be one.
 */
export function anonymous(
  address: string,
  { octets, segments }: { readonly octets: number; readonly segments: number },
): string | null {
  const mapped = /^(::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)
  if (mapped && ipaddr.IPv4.isValidFourPartDecimal(mapped[2]!)) {
    return `${mapped[1] ?? ''}${hidden(mapped[2]!.split('.'), octets).join('.')}`
  }
  if (ipaddr.IPv6.isValid(address)) {
    return hidden(
      ipaddr.IPv6.parse(address).parts.map((part) => part.toString(16)),
      segments,
    ).join(':')
  }
  return address === 'unknown' || before.test(address) ? address : null
}

function hidden(parts: readonly string[], last: number): readonly string[] {
  return parts.map((part, index) => (index < parts.length - last ? part : 'x'))
}

const before = /^(?:::ffff:)?(?:[0-9a-f]{0,4}[.:]){0,7}x(?:[.:]x){0,7}$/i
