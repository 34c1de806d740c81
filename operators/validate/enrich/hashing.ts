/** Digests by the names that configurations use. */
import type { HashAlgorithm } from '../../../schemas/definitions.ts'

/** As Node calls it. */
export const digestName = (algorithm: HashAlgorithm): string => names[algorithm]

const names: Readonly<Record<HashAlgorithm, string>> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
}
