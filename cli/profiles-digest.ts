/** One fingerprint of all golden records, to tell whether two runs ended the same. */
import { createHash } from 'node:crypto'
import type { Codec } from '../runtime/codec.ts'
import type { Log } from '../runtime/log.ts'
import { canonicalJson } from '../workspace/canonical.ts'
import { lastValues } from './topics.ts'

/** SHA-256, hex, over the last value of each key of the topic `profiles`, in order of key, as canonical JSON. */
export async function profilesDigest(log: Log, codec: Codec, partitions: number): Promise<string> {
  const last = await lastValues(log, 'profiles', partitions)
  const hash = createHash('sha256')
  for (const key of [...last.keys()].sort()) {
    hash.update(`${key}\n${canonicalJson(codec.decode('Profile', last.get(key)!))}\n`)
  }
  return hash.digest('hex')
}
