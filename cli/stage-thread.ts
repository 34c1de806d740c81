/** A thread that runs some stages of the topology, over the log of the thread that started it. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Codec } from '../runtime/codec.ts'
import { DefinitionReader } from '../runtime/definitions.ts'
import { RemoteLog } from '../runtime/embedded/remote-log.ts'
import { invariant, MillraceError } from '../runtime/errors.ts'
import type { AddressedRecord } from '../runtime/record.ts'
import { LocalRegistry } from '../runtime/registry.ts'
import { Runner } from '../runtime/runner.ts'
import { RocksStores } from '../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../runtime/task.ts'
import type { Partitions } from '../topologies/customer-data.ts'
import { definitionsFrom } from '../workspace/manifest.ts'
import { topologyOver } from './deployed-topology.ts'

export type StageThreadData = {
  readonly port: MessagePort
  readonly storesFolder: string
  readonly tenantKey: Uint8Array
  readonly destinations: readonly string[]
  readonly partitions: Partitions
  readonly stages: readonly string[]
  /** Records of these topics are told of as they are committed. */
  readonly observed: readonly string[]
}

export type StageThreadCommand = 'run' | 'stop'

export type StageThreadMessage =
  | { readonly kind: 'started' | 'stopped' }
  | {
      readonly kind: 'committed'
      readonly task: string
      readonly records: number
      readonly changelog: number
      readonly changelogBytes: number
      readonly outputs: readonly AddressedRecord[]
      readonly inputOffset: number
      readonly counters: ReadonlyMap<string, number>
    }
  | { readonly kind: 'failed'; readonly code: string | null; readonly message: string }

invariant(parentPort, 'a stage thread has a parent')
const parent = parentPort
const data: StageThreadData = workerData
const send = (message: StageThreadMessage): void => parent.postMessage(message)

const fail = (error: unknown): void => {
  const code = error instanceof MillraceError ? error.code : null
  send({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error) })
}

try {
  const log = new RemoteLog(data.port)
  const codec = new Codec(await LocalRegistry.open(log))
  const stores = new RocksStores(data.storesFolder)
  const topology = topologyOver(await log.topics(), data.destinations, data.partitions)
  const definitions = new DefinitionReader(log, codec, (manifest, bodies) =>
    definitionsFrom([manifest, ...bodies], data.tenantKey),
  )
  const tellOf = (
    name: string,
    batch: { records: number; changelog: number; changelogBytes: number; outputs: readonly AddressedRecord[] },
  ): void => {
    const task = runner.tasks.find((each) => each.name === name)
    invariant(task, 'the task that commits is one of ours')
    const outputs = batch.outputs.filter(({ topic }) => data.observed.includes(topic))
    send({ ...batch, kind: 'committed', task: name, outputs, inputOffset: task.inputOffset, counters: task.counters })
  }
  const runner = await Runner.start({
    topology,
    log,
    stores,
    codec,
    definitions,
    limits: defaultLimits,
    observer: { committed: tellOf },
    stages: data.stages,
  })
  for (const { name, inputOffset, counters } of runner.tasks) {
    send({
      kind: 'committed',
      task: name,
      records: 0,
      changelog: 0,
      changelogBytes: 0,
      outputs: [],
      inputOffset,
      counters,
    })
  }
  parent.on('message', (command: StageThreadCommand) => {
    if (command === 'run') runner.run(fail)
    else {
      void runner
        .stop()
        .then(() => stores.close())
        .then(() => log.close())
        .then(() => send({ kind: 'stopped' }), fail)
    }
  })
  send({ kind: 'started' })
} catch (error) {
  fail(error)
}
