/** Reads partitions ahead of their readers, by the committed records alone. */
import { Arrivals } from '../arrivals.ts'
import { MillraceError } from '../errors.ts'
import type { Fetched, FetchLimits, PartitionEnds } from '../log.ts'
import { requireInRange } from '../log-checks.ts'
import { Portion, recordBytes } from '../portion.ts'
import type { StoredRecord } from '../record.ts'
import type { Channel } from './channel.ts'
import { type KafkaConnection, pause } from './connection.ts'
import { ConnectionFault, codes, KafkaFault } from './faults.ts'
import { Gathering } from './gathering.ts'
import { earliest, isolation, latest, listOffset } from './offsets.ts'
import { readBatches } from './record-batch.ts'
import { type FetchAnswer, fetchRequest, type PartitionPlace } from './requests.ts'

/**
 * `read` answers at once with what there is. `follow` waits at the broker until something comes: it has connections of
 * its own, or a read would have to wait behind it.
 */
type Lane = 'read' | 'follow'

const limitsOf: Readonly<Record<Lane, { maxWaitMs: number; maxBytes: number; partitionMaxBytes: number }>> = {
  read: { maxWaitMs: 0, maxBytes: 8 << 20, partitionMaxBytes: 1 << 20 },
  follow: { maxWaitMs: 100, maxBytes: 8 << 20, partitionMaxBytes: 1 << 20 },
}
/** Read ahead for one partition; a reader that asks for more at once gets it all the same. */
const aheadBytesMax = 2 << 20
/** A partition is followed for so long after its reader last waited: it will be back when it has done its work. */
const followedMs = 1000
/** How long to wait for the marks of our own commits; others' open transactions may hold the stable end back longer. */
const markersMs = 1000

export class Fetcher {
  readonly #connection: KafkaConnection
  readonly #prefix: string
  readonly #cursors = new Map<string, Cursor>()
  readonly #gatherings = new WeakMap<Channel, Gathering<Cursor, FetchAnswer>>()
  #closed = false

  /** Topics are known to the broker by the prefix and their name. */
  constructor(connection: KafkaConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  async ends(topic: string, partition: number): Promise<PartitionEnds> {
    const cursor = this.#cursor(topic, partition)
    const started = Date.now()
    for (;;) {
      const [start, stable, end] = await this.#connection.retrying(
        `cannot read the ends of ${topic}/${partition}`,
        { topic, partition },
        async () => {
          const leader = await this.#connection.leaderOf(cursor.topic, partition)
          const { topic: wireTopic } = cursor
          return Promise.all([
            listOffset(leader, wireTopic, partition, earliest),
            listOffset(leader, wireTopic, partition, latest),
            listOffset(leader, wireTopic, partition, latest, isolation.uncommitted),
          ])
        },
      )
      cursor.stable = Math.max(cursor.stable, stable)
      if (stable >= cursor.written || Date.now() - started > markersMs) return { start, stable, end }
      await pause(1)
    }
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    const cursor = this.#cursor(topic, partition)
    const started = Date.now()
    cursor.forgetBefore(offset)
    const portion = new Portion(limits)
    let at = offset
    for (let reads = 0; ; reads++) {
      cursor.goTo(at)
      const full = cursor.take(portion, at)
      if (full) {
        at = portion.records.at(-1)!.offset + 1
        if (cursor.isShortBehind(at)) void this.#read(cursor, at).catch(() => undefined)
        break
      }
      at = cursor.next
      const ownAreComing = at < cursor.written && Date.now() - started < markersMs
      if (at >= cursor.stable && !ownAreComing && (at > offset || reads > 0)) break
      if (ownAreComing && reads > 0) await pause(1)
      await this.#read(cursor, offset)
    }
    return { records: portion.records, nextOffset: at }
  }

  async arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    const cursor = this.#cursor(topic, partition)
    if (signal.aborted || cursor.stable > offset) return
    cursor.forgetBefore(offset) // or what has been read already would keep us from reading ahead
    cursor.goTo(offset)
    cursor.waiting++
    if (!cursor.followed) void this.#follow(cursor)
    await cursor.arrivals.wait(offset, signal)
    cursor.waiting--
    cursor.waitedMs = Date.now()
  }

  /** A commit of ours is done up to this offset: readers here see it, though its markers may still be on their way. */
  committed(topic: string, partition: number, nextOffset: number): void {
    const cursor = this.#cursor(topic, partition)
    cursor.written = Math.max(cursor.written, nextOffset)
  }

  close(): void {
    this.#closed = true
  }

  #cursor(topic: string, partition: number): Cursor {
    const name = `${topic}/${partition}`
    const known = this.#cursors.get(name)
    if (known) return known
    const cursor = new Cursor(this.#prefix + topic, { topic, partition })
    this.#cursors.set(name, cursor)
    return cursor
  }

  /** Reads on at the cursor; those who want it at the same time share it. */
  async #read(cursor: Cursor, wanted: number): Promise<void> {
    cursor.reading ??= this.#ask(cursor, 'read').finally(() => {
      cursor.reading = undefined
    })
    try {
      await cursor.reading
    } catch (error) {
      const { topic, partition } = cursor.place
      if (error instanceof MillraceError && error.code === 'OFFSET_OUT_OF_RANGE')
        requireInRange(topic, partition, wanted, await this.ends(topic, partition))
      throw error
    }
  }

  /** Keeps a request waiting at the broker for as long as the reader waits or may soon be back. */
  async #follow(cursor: Cursor): Promise<void> {
    cursor.followed = true
    try {
      while (!this.#closed && cursor.bytes < aheadBytesMax && cursor.isWanted()) {
        if (cursor.next < cursor.stable) await this.#read(cursor, cursor.next)
        else await this.#ask(cursor, 'follow')
      }
    } catch {
      // Whoever waits goes and reads, and hears of it if it is still so.
      cursor.arrivals.wake(Number.POSITIVE_INFINITY)
    }
    cursor.followed = false
  }

  #ask(cursor: Cursor, lane: Lane): Promise<void> {
    const { topic, partition } = cursor.place
    return this.#connection.retrying(`cannot read ${topic}/${partition}`, cursor.place, async () => {
      const leader = await this.#connection.leaderOf(cursor.topic, partition, lane)
      let gathering = this.#gatherings.get(leader)
      if (!gathering) {
        gathering = new Gathering(
          (cursors) => fetchAll(leader, cursors, lane),
          () => true,
        )
        this.#gatherings.set(leader, gathering)
      }
      await gathering.ask(cursor)
    })
  }
}

/** Asks a broker for several partitions; each cursor takes what came for it. */
async function fetchAll(
  leader: Channel,
  cursors: readonly Cursor[],
  lane: Lane,
): Promise<readonly (FetchAnswer | Error)[]> {
  const places = cursors.map(({ topic, partition, next }) => ({ topic, partition, offset: next }))
  const answers = await leader.sendOwn(fetchRequest(places, limitsOf[lane]))
  return answers.map((answer, i) => {
    if (!answer) return new ConnectionFault(`the broker did not answer for ${places[i]!.topic}`)
    if (answer.errorCode !== 0) return new KafkaFault('Fetch', answer.errorCode)
    // A new leader may not yet know how much of what it holds is committed.
    if (answer.stable < places[i]!.offset) return new KafkaFault('Fetch', codes.offsetNotAvailable)
    try {
      cursors[i]!.add(places[i]!.offset, answer)
      return answer
    } catch (error) {
      return error as Error
    }
  })
}

/** What has been read of one partition and not been let go: all committed records from `from` to `next`. */
class Cursor {
  /** As the broker calls it. */
  readonly topic: string
  readonly partition: number
  /** As we call it. */
  readonly place: PartitionPlace
  readonly arrivals = new Arrivals()
  /** The read that is under way. */
  reading: Promise<void> | undefined
  followed = false
  waiting = 0
  waitedMs = 0
  /** The end of what was written here and committed. */
  written = 0
  /** The last stable offset as last heard of; -1: not yet. */
  stable = -1
  bytes = 0
  #records: StoredRecord[] = []
  #from = 0
  #next = 0

  constructor(topic: string, place: PartitionPlace) {
    this.topic = topic
    this.partition = place.partition
    this.place = place
  }

  /** Where to read on. */
  get next(): number {
    return this.#next
  }

  isWanted(): boolean {
    return this.waiting > 0 || Date.now() - this.waitedMs < followedMs
  }

  /** Makes an offset readable from here on; what is held stays if the offset is within. */
  goTo(offset: number): void {
    if (offset >= this.#from && offset <= this.#next) return
    this.#records = []
    this.bytes = 0
    this.#from = offset
    this.#next = offset
  }

  forgetBefore(offset: number): void {
    if (offset <= this.#from || offset > this.#next) return
    const gone = this.#records.splice(0, firstAtOrAfter(this.#records, offset))
    for (const record of gone) this.bytes -= recordBytes(record)
    this.#from = offset
  }

  /** Adds what is held from an offset on, and answers whether the portion was full before that was over. */
  take(portion: Portion, offset: number): boolean {
    for (let i = firstAtOrAfter(this.#records, offset); i < this.#records.length; i++)
      if (!portion.take(this.#records[i]!)) return true
    return false
  }

  /** Whether to read ahead, with a reader that has come to an offset: more is there, and most of what is held was taken. */
  isShortBehind(offset: number): boolean {
    const left = this.#records.length - firstAtOrAfter(this.#records, offset)
    return this.#next < this.stable && left < this.#records.length / 2
  }

  /** Takes an answer to a fetch at `offset`; its records only if nobody has read on or gone elsewhere meanwhile. */
  add(offset: number, { stable, aborted, batches }: FetchAnswer): void {
    if (offset !== this.#next) return
    const { records, nextOffset } = readBatches(batches, offset, aborted)
    for (const record of records) {
      this.#records.push(record)
      this.bytes += recordBytes(record)
    }
    this.#next = nextOffset
    // An answer that ends where it began says how things are, even if what was heard before was more.
    this.stable = nextOffset > offset ? Math.max(this.stable, stable) : stable
    this.arrivals.wake(this.stable)
  }
}

function firstAtOrAfter(records: readonly StoredRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
