import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DemoResult } from '../../cli/demo.ts'
import type { DumpedRecord } from '../../cli/dump.ts'
import { launch, millrace, millraceJson, temporaryFolder } from './millrace.ts'

const options = ['demo', '--events', '3000', '--visitors', '600', '--seed', '11']
const killsWanted = 10

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

/** All that a run leaves behind: counts, profiles, transitions per profile in their order, and the file destination. */
async function legacyOf(data: string) {
  const {
    seconds: _,
    eventsPerSecond: __,
    latencyMs: ___,
    ...counts
  } = await millraceJson<DemoResult>([...options, '--data', data])
  const { stdout } = await millrace(['dump', 'segments.memberships', '--json', '--data', data])
  const transitions: Record<string, unknown[]> = {}
  for (const line of stdout.split('\n').filter(Boolean)) {
    const { key, value } = JSON.parse(line) as DumpedRecord
    transitions[key] ??= []
    transitions[key].push(value)
  }
  const sheets = [0, 1, 2].map((partition) => join(data, 'destinations', 'ad_audience', `${partition}.ndjson`))
  const files = await Promise.all(sheets.map((path) => readFile(path, 'utf8').catch(() => '')))
  return { counts, transitions, files }
}

test('killed ten times at random moments, and taken up again, it ends as an unbroken run does', async () => {
  const startedAt = performance.now()
  const unbroken = await legacyOf(join(folder.path, 'unbroken'))
  const wholeMs = performance.now() - startedAt

  const moments: string[] = []
  for (let round = 0, kills = 0; kills < killsWanted; round++) {
    const data = join(folder.path, `broken-${round}`)
    for (let ended = false; !ended && kills < killsWanted; ) {
      const child = launch([...options, '--json', '--data', data])
      const closed = once(child, 'close')
      const afterMs = Math.round(200 + Math.random() * wholeMs * 0.5)
      ended = await Promise.race([closed.then(() => true), delay(afterMs, false)])
      if (ended) break
      child.kill('SIGKILL')
      await closed
      kills++
      moments.push(`round ${round}: ${afterMs} ms`)
    }
    expect(await legacyOf(data), `killed at ${moments.join(', ')}`).toEqual(unbroken)
  }
}, 300_000)
