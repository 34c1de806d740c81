/**
 * Where a webhook must not reach: the inside of our own network. A name is judged by the addresses it resolves to, at the
 * moment of connecting and by the same look-up, so that it cannot resolve to one thing when asked and another when used.
 */
import { type LookupAddress, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { DeliveryError } from '../connector.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** IANA's special-purpose registries: whatever is not a host on the public internet. IPv4 in IPv6 is unwrapped by BlockList. */
const inside = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  inside.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['::', 128],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  inside.addSubnet(network, prefix, 'ipv6')
}

export function isForbidden(address: string, allowLoopback: boolean): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (loopback.check(address, family)) return !allowLoopback
  return inside.check(address, family)
}

/** Throws when the host of a url is itself an address that is forbidden; a name is judged by `guardedLookup`. */
export function requireOutside(hostname: string, allowLoopback: boolean): void {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) !== 0 && isForbidden(bare, allowLoopback)) throw forbidden(bare)
}

/** A `lookup` for a socket that fails when any of the addresses of the name is forbidden. */
export function guardedLookup(allowLoopback: boolean, resolve: Resolve = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0)
      if (found.length === 0) return callback(new DeliveryError('transient', `${hostname} has no address`), '', 0)
      const inner = found.find(({ address }) => isForbidden(address, allowLoopback))
      if (inner) return callback(forbidden(`${hostname} (${inner.address})`), '', 0)
      if (options.all) return callback(null, found as LookupAddress[])
      callback(null, found[0]!.address, found[0]!.family)
    })
  }
}

export type Resolve = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void

function forbidden(where: string): DeliveryError {
  return new DeliveryError('auth', `${where} is not a public address; a webhook does not reach into private networks`)
}
