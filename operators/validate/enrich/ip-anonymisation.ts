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
  if (ipv4.test(address)) return withoutLast(address, octets)
  if (ipaddr.IPv6.isValid(address)) {
    const { parts } = ipaddr.IPv6.parse(address)
    return parts.map((part, index) => (index < parts.length - segments ? part.toString(16) : 'x')).join(':')
  }
  return address === 'unknown' || before.test(address) ? address : null
}

function withoutLast(address: string, octets: number): string {
  let end = address.length
  for (let n = 0; n < octets; n++) end = Math.max(address.lastIndexOf('.', end - 1), address.lastIndexOf(':', end - 1))
  return address.slice(0, end + 1) + 'x.x.x.x'.slice(0, 2 * octets - 1)
}

/** Four decimal octets, or an IPv6 address that holds one of IPv4. */
const ipv4 = /^(?:::ffff:)?(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/i
const before = /^(?:::ffff:)?(?:[0-9a-f]{0,4}[.:]){0,7}x(?:[.:]x){0,7}$/i
