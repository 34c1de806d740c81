/** The tenant's secret key, and the proof that a data folder goes on under the key it was begun with. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../runtime/errors.ts'

/** Where a cluster's processes look for it, when the workspace does not say. */
export const tenantKeyVariable = 'MILLRACE_TENANT_KEY'

const keyFile = 'tenant.key'
const fingerprintFile = 'tenant.fingerprint'
const secretCharactersMin = 16

/**
 * The key to use with a data folder: the one given; or else that of the environment variable, when it is set; or else
 * the folder's own, which is made when there is none. A key that is given is kept in the folder too, so that a later
 * run needs not give it; one from the environment is not. CONFIG_INVALID when the folder was begun with another.
 */
export async function tenantKeyFor(
  dataFolder: string,
  sources: { readonly given: Uint8Array | undefined; readonly envName: string | null; readonly env: NodeJS.ProcessEnv },
): Promise<Uint8Array> {
  const { given, envName, env } = sources
  const secret = envName === null ? undefined : env[envName]
  const key =
    given ??
    (secret ? keyOfSecret(secret, envName!) : undefined) ??
    (await readIf(dataFolder, keyFile)) ??
    randomBytes(32)
  await requireSameKey(dataFolder, key)
  if (given || !secret) await writeNew(dataFolder, keyFile, key)
  await writeNew(dataFolder, fingerprintFile, fingerprintOf(key))
  return key
}

/** The key that a data folder is run with, for who only reads. CONFIG_INVALID when it is neither there nor in the environment. */
export async function readTenantKey(
  dataFolder: string,
  { envName, env }: { readonly envName: string | null; readonly env: NodeJS.ProcessEnv },
): Promise<Uint8Array> {
  const secret = envName === null ? undefined : env[envName]
  const key = secret ? keyOfSecret(secret, envName!) : await readIf(dataFolder, keyFile)
  if (key) return key
  const place = envName === null ? '' : ` and the environment variable ${envName} is not set`
  throw new MillraceError(
    'CONFIG_INVALID',
    `the data folder ${dataFolder} holds no tenant key${place}; give the folder with --data`,
  )
}

function keyOfSecret(secret: string, name: string): Uint8Array {
  if (secret.length >= secretCharactersMin) return Buffer.from(secret, 'utf8')
  throw new MillraceError(
    'CONFIG_INVALID',
    `the environment variable ${name} holds ${secret.length} characters; a tenant key takes ${secretCharactersMin} or more`,
  )
}

/** Under another key the same customers would get other profiles. */
async function requireSameKey(dataFolder: string, key: Uint8Array): Promise<void> {
  const stored = await readIf(dataFolder, fingerprintFile)
  if (!stored || stored.toString('utf8') === fingerprintOf(key)) return
  throw new MillraceError(
    'CONFIG_INVALID',
    `the data folder ${dataFolder} was begun with another tenant key (or demo seed), under which its profiles have their ids; use that one, or another folder with --data`,
  )
}

/** Tells keys apart, and nothing of them. */
export function fingerprintOf(key: Uint8Array): string {
  return createHash('sha256').update('millrace tenant key').update(key).digest('hex')
}

async function readIf(folder: string, name: string): Promise<Buffer | undefined> {
  try {
    return await readFile(join(folder, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function writeNew(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeFile(join(folder, name), content, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
