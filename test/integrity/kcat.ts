/** Topics as kcat reads them: a client that shares no code with ours, over librdkafka, committed records only. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { StoredRecord } from '../../runtime/record.ts'

export type KcatRecord = StoredRecord & { readonly partition: number }

/** A line of lengths before the bytes, which may be any. */
const format = '%p %o %T %K %S %h\\n%k%s\\n'

/** Whether there is a kcat on this machine. Without one tests are to be skipped, and say so; with CI set it throws. */
export async function hasKcat(): Promise<boolean> {
  const child = spawn('kcat', ['-V'], { stdio: 'ignore' })
  const found = await new Promise<boolean>((resolve) => {
    child.on('error', () => resolve(false))
    child.on('exit', (status) => resolve(status === 0))
  })
  if (!found && process.env['CI']) throw new Error('there is no kcat (Debian: apt-get install kcat)')
  if (!found) console.warn('SKIPPED, for want of kcat (Debian: apt-get install kcat)')
  return found
}

/** All that is committed now, of one partition or of all, in order within each. Throws what kcat said when it failed. */
export async function* readCommitted(brokers: string, topic: string, partition?: number): AsyncGenerator<KcatRecord> {
  const only = partition === undefined ? [] : ['-p', String(partition)]
  // The end of a partition shows in an empty answer, which by itself takes half a second.
  const settings = ['isolation.level=read_committed', 'check.crcs=true', 'fetch.wait.max.ms=10'].flatMap((each) => [
    '-X',
    each,
  ])
  const child = spawn('kcat', [
    '-C',
    '-q',
    '-e',
    '-b',
    brokers,
    '-t',
    topic,
    ...only,
    '-o',
    'beginning',
    ...settings,
    '-f',
    format,
  ])
  const ended = once(child, 'close')
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints += text
  })
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    for (let next = recordIn(rest); next; next = recordIn(rest)) {
      yield next.record
      rest = rest.subarray(next.bytes)
    }
  }
  const [status] = await ended
  if (status !== 0 || rest.length > 0) throw new Error(`kcat ended with ${status} reading ${topic}: ${complaints}`)
}

/** The first record of the bytes, when all of it is there. */
function recordIn(bytes: Buffer): { readonly record: KcatRecord; readonly bytes: number } | undefined {
  const lineEnd = bytes.indexOf(0x0a)
  if (lineEnd < 0) return undefined
  const [partition, offset, timestampMs, keyBytes, valueBytes, headers] = bytes.toString('utf8', 0, lineEnd).split(' ')
  const keyEnd = lineEnd + 1 + Number(keyBytes)
  const valueEnd = keyEnd + Math.max(0, Number(valueBytes))
  if (bytes.length <= valueEnd) return undefined
  const record: KcatRecord = {
    partition: Number(partition),
    offset: Number(offset),
    timestampMs: Number(timestampMs),
    kind: /^kind=(.*)$/.exec(headers!)![1]!,
    key: bytes.toString('utf8', lineEnd + 1, keyEnd),
    // A copy: the bytes around it are let go.
    value: Number(valueBytes) < 0 ? null : Buffer.from(bytes.subarray(keyEnd, valueEnd)),
  }
  return { record, bytes: valueEnd + 1 }
}
