/** The settings of a webhook destination, as a workspace gives them. */
import { z } from 'zod'
import { MillraceError } from '../../runtime/errors.ts'
import { secretKey } from './signature.ts'

const secretReference = z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) })

const schema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  /** Several while a secret is being changed: each signs. */
  secret: z.union([secretReference, z.array(secretReference).min(1).max(4)]),
  /** 1: each activation is a message of its own, a JSON object. More: messages are arrays. */
  batch: z.int().min(1).max(1_000).default(100),
  timeoutSeconds: z.int().min(1).max(60).default(20),
  /** For trying things out: lets it reach 127.0.0.1, and only there without TLS. */
  allowLoopback: z.boolean().default(false),
})

export type WebhookSettings = {
  readonly url: URL
  readonly keys: readonly Buffer[]
  readonly batch: number
  readonly timeoutMs: number
  readonly allowLoopback: boolean
}

/** CONFIG_INVALID with the path of each bad value; a secret itself is never shown. */
export function parseWebhookSettings(
  id: string,
  settings: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): WebhookSettings {
  const fail = (what: string): never => {
    throw new MillraceError('CONFIG_INVALID', `destination ${id}: ${what}`)
  }
  const parsed = schema.safeParse(settings)
  if (!parsed.success) {
    return fail(
      parsed.error.issues.map(({ path, message }) => `${['settings', ...path].join('.')}: ${message}`).join('; '),
    )
  }
  const { url, secret, batch, timeoutSeconds, allowLoopback } = parsed.data
  const keys = [secret].flat().map((reference): Buffer => {
    const value = env[reference.env]
    if (!value) return fail(`settings.secret: the environment variable ${reference.env} is not set`)
    return (
      secretKey(value) ??
      fail(`settings.secret: ${reference.env} does not hold whsec_ and the base64 of 24 to 64 bytes`)
    )
  })
  const parsedUrl = new URL(url)
  if (parsedUrl.username || parsedUrl.password) fail('settings.url: a user name or password does not belong in a url')
  const withinReach = allowLoopback && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsedUrl.hostname)
  if (parsedUrl.protocol === 'http:' && !withinReach) fail('settings.url: https is required')
  return { url: parsedUrl, keys, batch, timeoutMs: timeoutSeconds * 1000, allowLoopback }
}
