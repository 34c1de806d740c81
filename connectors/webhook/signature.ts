/** Signatures of Standard Webhooks 1.0.0 (standardwebhooks.com): `v1`, HMAC-SHA256 over id, timestamp and body. */
import { createHmac } from 'node:crypto'

/** The key in a secret `whsec_<base64 of 24 to 64 bytes>`; undefined when it is not one. */
export function secretKey(secret: string): Buffer | undefined {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret)) return undefined
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  return key.length >= 24 && key.length <= 64 ? key : undefined
}

export type Signed = { readonly id: string; readonly timestampS: number; readonly body: string }

/** The header `webhook-signature`: one signature a key, so that a receiver may change its key at leisure. */
export function signatureOf(keys: readonly Buffer[], { id, timestampS, body }: Signed): string {
  const signed = `${id}.${timestampS}.${body}`
  return keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`).join(' ')
}
