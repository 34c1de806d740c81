/** What is fed: a history from a file, by a process that is killed in the middle, then live events over HTTP. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { generateTraffic } from '../../sources/traffic/traffic.ts'
import { embeddedPartitions } from '../../topologies/customer-data.ts'
import { launch } from '../cli/millrace.ts'

const dayMs = 24 * 3600 * 1000

/** Bodies of events as a tracker would send them; some are invalid, some duplicates. */
export type Input = { readonly history: readonly string[]; readonly live: readonly string[] }

/**
 * The first part of the traffic is the history; the rest comes live. A seed gives the same events all day. None is in the
 * history whose duplicate comes live more than seven days of log time later, when it would be another event.
 */
export function inputOf(options: { seed: number; events: number; historyShare: number; nowMs: number }): Input {
  const { seed, events, historyShare, nowMs } = options
  const visitors = Math.max(20, Math.round(events / 25))
  const startMs = Math.floor(nowMs / dayMs - 5) * dayMs
  const traffic = generateTraffic({ seed, events, visitors, tenant: 'retail', startMs, days: 4 })
  const bodies = [...traffic].map(({ raw }) => raw.body)
  const cut = Math.round(events * historyShare)
  return { history: bodies.slice(0, cut), live: bodies.slice(cut) }
}

/** A record of events.raw that nobody can decode: its task writes it to its dead letters, and goes on. */
export function poison(n: number): AddressedRecord {
  const key = `retail/poison-${n}`
  const partition = partitionOf(key, embeddedPartitions.identify)
  return { topic: 'events.raw', partition, kind: 'event', key, value: Buffer.from(key), timestampMs: Number.NaN }
}

const attemptsMax = 60
const historyMsMax = 600_000

type Feed = {
  /** Cluster, registry, prefix and workspace, as flags of the command line. */
  readonly flags: readonly string[]
  /** Ends it, when nobody needs it any more. */
  readonly signal: AbortSignal
}

/** `millrace ingest --history`, killed once and taken up again, and again after any outage. Answers how often it began. */
export async function feedHistory(
  bodies: readonly string[],
  feed: Feed & { readonly file: string; readonly killAfterMs: number },
): Promise<number> {
  const { file, flags, killAfterMs, signal } = feed
  await writeFile(file, bodies.map((body) => `${body}\n`).join(''))
  for (let attempt = 1; ; attempt++) {
    const child = launch(['ingest', file, '--format', 'tp2', '--history', '--json', ...flags])
    const complaints = textOf(child)
    const kill = (): boolean => child.kill('SIGKILL')
    signal.addEventListener('abort', kill, { once: true })
    const timer = setTimeout(kill, attempt === 1 ? killAfterMs : historyMsMax)
    const [status] = (await once(child, 'close')) as [number | null]
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
    signal.throwIfAborted()
    if (status === 0) return attempt
    if (attempt === attemptsMax) throw new Error(`the history could not be fed: ${complaints()}`)
    await delay(500)
  }
}

/** What was posted, and how many events of it more than once, since no 200 had come. */
export type Posted = { readonly resent: number }

/** Trackers at a collector, each payload posted until it is acknowledged; spread evenly over a time. */
export async function feedLive(
  bodies: readonly string[],
  { flags, overMs, signal, posted }: Feed & { readonly overMs: number; readonly posted: (events: number) => void },
): Promise<Posted> {
  const collector = launch(['collect', '--port', '0', ...flags])
  const complaints = textOf(collector)
  try {
    const [line] = (await once(createInterface({ input: collector.stdout! }), 'line')) as [string]
    const url = `${/http:\S+/.exec(line)![0]}/com.snowplowanalytics.snowplow/tp2`
    const payloads = payloadsOf(bodies)
    const startMs = performance.now()
    let resent = 0
    for (const [i, { body, events }] of payloads.entries()) {
      await delay(Math.max(0, startMs + (i * overMs) / payloads.length - performance.now()), undefined, { signal })
      for (let attempt = 1; !(await isTaken(url, body)); attempt++) {
        if (attempt === attemptsMax) throw new Error(`a payload was not taken: ${complaints()}`)
        resent += events
        await delay(500, undefined, { signal })
      }
      posted(events)
    }
    return { resent }
  } finally {
    collector.kill('SIGTERM')
  }
}

const eventsPerPayload = 25

/** A body that is no JSON goes alone, as it is; the others in envelopes. */
function payloadsOf(bodies: readonly string[]): { readonly body: string; readonly events: number }[] {
  const payloads: { body: string; events: number }[] = []
  let open: string[] = []
  const close = (): void => {
    const schema = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'
    if (open.length > 0) payloads.push({ body: `{"schema":"${schema}","data":[${open}]}`, events: open.length })
    open = []
  }
  for (const body of bodies) {
    if (isJson(body)) open.push(body)
    else {
      close()
      payloads.push({ body, events: 1 })
    }
    if (open.length === eventsPerPayload) close()
  }
  close()
  return payloads
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

async function isTaken(url: string, body: string): Promise<boolean> {
  try {
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(30_000) })
    await answer.arrayBuffer()
    return answer.status === 200
  } catch {
    return false
  }
}

function textOf(child: ChildProcess): () => string {
  let text = ''
  child.stderr!.setEncoding('utf8').on('data', (more) => {
    text += more
  })
  return () => text.trim()
}
