import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { EmbeddedLog, type EmbeddedLogOptions } from '../../runtime/embedded/log.ts'
import { RemoteLog, serveLog } from '../../runtime/embedded/remote-log.ts'
import { MemoryLog } from '../../runtime/memory/log.ts'
import { logContract } from './log.ts'

const nowMs = 1_800_000_000_000

const memory = (options: { markers?: boolean }) => async () => {
  const log = new MemoryLog({ now: () => nowMs, ...options })
  return { open: async () => log, nowMs, dispose: async () => {} }
}
logContract('memory', memory({}))
logContract('memory, with the offsets that transaction markers take', memory({ markers: true }))

const embedded = (options: EmbeddedLogOptions) => async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  return {
    open: () => EmbeddedLog.open(folder, { now: () => nowMs, ...options }),
    nowMs,
    dispose: () => rm(folder, { recursive: true }),
  }
}
logContract('embedded', embedded({}))
logContract('embedded, all read from disk', embedded({ tailBytesMax: 0 }))
logContract('embedded, some read from disk', embedded({ tailBytesMax: 4000 }))

const remote = async () => {
  const log = new MemoryLog({ now: () => nowMs })
  const open = async () => {
    const { port1, port2 } = new MessageChannel()
    serveLog(log, port1)
    return new RemoteLog(port2)
  }
  return { open, nowMs, dispose: async () => {} }
}
logContract('remote, the log of another thread', remote)
