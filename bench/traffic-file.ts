/** Generated traffic in a file, so that a timed run reads it instead of making it. */

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Codec, fixedSchemaIds } from '../runtime/codec.ts'
import { generateTraffic } from '../sources/traffic/traffic.ts'

export type TrafficRecord = { readonly key: string; readonly logTimeMs: number; readonly value: Buffer }

const codec = new Codec(fixedSchemaIds())
export const startMs = Date.UTC(2026, 0, 5)
export const tenant = 'retail'

/** One record: u32 bytes of key · u32 bytes of value · f64 log time · key · value (Avro, ids as a fresh registry gives them). */
export async function writeTraffic(
  file: string,
  options: { events: number; visitors: number; startMs?: number },
): Promise<void> {
  const out = createWriteStream(file)
  for (const { raw, key, logTimeMs } of generateTraffic({ startMs, ...options, seed: 7, tenant })) {
    const value = codec.encode('RawEvent', raw)
    const head = Buffer.alloc(16)
    const keyBytes = Buffer.from(key)
    head.writeUInt32BE(keyBytes.length, 0)
    head.writeUInt32BE(value.length, 4)
    head.writeDoubleBE(logTimeMs, 8)
    if (!out.write(Buffer.concat([head, keyBytes, value]))) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}

/** The records of a file in chunks of about a mebibyte. */
export async function* readTraffic(file: string): AsyncGenerator<TrafficRecord[]> {
  const handle = await open(file)
  let rest: Buffer = Buffer.alloc(0)
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(1 << 20), 0, 1 << 20)
      if (bytesRead === 0) return
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
      const records: TrafficRecord[] = []
      let at = 0
      for (;;) {
        if (rest.length - at < 16) break
        const keyEnd = at + 16 + rest.readUInt32BE(at)
        const end = keyEnd + rest.readUInt32BE(at + 4)
        if (rest.length < end) break
        records.push({
          key: rest.toString('utf8', at + 16, keyEnd),
          logTimeMs: rest.readDoubleBE(at + 8),
          value: rest.subarray(keyEnd, end),
        })
        at = end
      }
      rest = rest.subarray(at)
      yield records
    }
  } finally {
    await handle.close()
  }
}
