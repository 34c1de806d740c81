/** Calls of Segment's and RudderStack's SDKs over HTTP: which one a path is for, and who may send it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'

/** `/v1/<name>`; the letters are what analytics.js sends to. */
export const callKinds: ReadonlyMap<string, string> = new Map([
  ...['identify', 'track', 'page', 'screen', 'group', 'alias', 'batch'].map((kind): [string, string] => [kind, kind]),
  ['i', 'identify'],
  ['t', 'track'],
  ['p', 'page'],
  ['s', 'screen'],
  ['g', 'group'],
  ['a', 'alias'],
  ['import', 'batch'],
])

/** Whether the user name of Basic authentication, or else the body's `writeKey`, is one of these. */
export function mayWrite(request: FastifyRequest, body: Buffer, keys: readonly string[]): boolean {
  const key = keyOfHeader(request.headers.authorization) ?? keyOfBody(body)
  return key !== null && keys.filter((known) => timingSafeEqual(digest(known), digest(key))).length > 0
}

const digest = (key: string): Buffer => createHash('sha256').update(key).digest()

function keyOfHeader(authorization: string | undefined): string | null {
  const encoded = /^Basic +([\w+/=-]+)$/i.exec(authorization ?? '')?.[1]
  return encoded === undefined ? null : Buffer.from(encoded, 'base64').toString('utf8').replace(/:.*$/s, '')
}

function keyOfBody(body: Buffer): string | null {
  try {
    const { writeKey } = JSON.parse(body.toString('utf8')) as { readonly writeKey?: unknown }
    return typeof writeKey === 'string' ? writeKey : null
  } catch {
    return null
  }
}
