import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { ConnectorRunner } from '../runner.ts'
import { deliveries, jumpingClock, logWith, topic } from '../testing.ts'
import { createFileConnector } from './file.ts'
import { fileLine } from './line.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-file-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
const newFolder = (): string => join(root, String(folders++))
const pathOf = (folder: string, partition = 0): string => join(folder, 'tool', `${partition}.ndjson`)
const linesOf = (folder: string, partition = 0): { offset: number }[] =>
  readFileSync(pathOf(folder, partition), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const offsetsOf = (folder: string, partition = 0): number[] => linesOf(folder, partition).map(({ offset }) => offset)

/** Delivers with a connector of its own, as a process does that ends after it. */
async function deliver(folder: string, first: number, last: number, partition = 0): Promise<void> {
  const connector = createFileConnector({ id: 'tool', folder })
  try {
    await connector.deliver(deliveries(first, last, partition))
  } finally {
    await connector.close()
  }
}

describe('the file connector', () => {
  test('writes one line per activation, under its offset', async () => {
    const folder = newFolder()
    await deliver(folder, 0, 1)
    expect(readFileSync(pathOf(folder), 'utf8')).toBe(
      '{"offset":0,"op":"add","tenant":"shop","destinationId":"tool","segmentId":"high_value","profileId":"p0","previousProfileId":null,"identifiers":[{"type":"email","value":"p0@example.com"}],"traits":{"orders":0},"idempotencyKey":"key-0","effectiveAtMs":1700000000000,"reason":"event","collectorTstampMs":null}\n' +
        '{"offset":1,"op":"add","tenant":"shop","destinationId":"tool","segmentId":"high_value","profileId":"p1","previousProfileId":null,"identifiers":[{"type":"email","value":"p1@example.com"}],"traits":{"orders":1},"idempotencyKey":"key-1","effectiveAtMs":1700000000001,"reason":"event","collectorTstampMs":null}\n',
    )
  })

  test('what it has already it does not write again', async () => {
    const folder = newFolder()
    await deliver(folder, 0, 4)
    await deliver(folder, 2, 7)
    await deliver(folder, 8, 9)
    await deliver(folder, 0, 0, 1)
    expect(offsetsOf(folder)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(offsetsOf(folder, 1)).toEqual([0])
  })

  test('wherever a crash cut the file, the batch delivered again makes it whole', async () => {
    const whole = newFolder()
    await deliver(whole, 0, 5)
    const expected = readFileSync(pathOf(whole))
    const firstLineBytes = Buffer.byteLength(fileLine(deliveries(0, 0)[0]!))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: firstLineBytes, max: expected.length }), async (cut) => {
        const folder = newFolder()
        await deliver(folder, 0, 0) // its position was stored
        await deliver(folder, 1, 5)
        truncateSync(pathOf(folder), cut)
        await deliver(folder, 1, 5)
        expect(readFileSync(pathOf(folder)).equals(expected)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('an empty file, and a file with nothing but a torn line, are begun anew', async () => {
    for (const content of ['', '{"offset":0,"op":"ad']) {
      const folder = newFolder()
      mkdirSync(join(folder, 'tool'), { recursive: true })
      writeFileSync(pathOf(folder), content)
      await deliver(folder, 0, 2)
      expect(offsetsOf(folder)).toEqual([0, 1, 2])
    }
  })

  test('finds the last line of a large file, however long the line is', async () => {
    const folder = newFolder()
    const connector = createFileConnector({ id: 'tool', folder })
    const long = deliveries(0, 3).map(({ activation, ...place }, i) => ({
      ...place,
      activation: { ...activation, traits: { text: 'é'.repeat(i * 40_000) } },
    }))
    await connector.deliver(long)
    await connector.close()
    appendFileSync(pathOf(folder), '{"torn":"')
    await deliver(folder, 4, 4)
    expect(offsetsOf(folder)).toEqual([0, 1, 2, 3, 4])
  })

  test('refuses a file of another log, and one that is not ours', async () => {
    const folder = newFolder()
    await deliver(folder, 0, 9)
    const before = readFileSync(pathOf(folder))
    await expect(deliver(folder, 0, 4)).rejects.toMatchObject({ code: 'DATA_FOREIGN' })
    expect(readFileSync(pathOf(folder)).equals(before)).toBe(true)

    const other = newFolder()
    mkdirSync(join(other, 'tool'), { recursive: true })
    writeFileSync(pathOf(other), 'a,b,c\n1,2,3\n')
    await expect(deliver(other, 0, 4)).rejects.toMatchObject({ code: 'DATA_FOREIGN' })
    expect(readFileSync(pathOf(other), 'utf8')).toBe('a,b,c\n1,2,3\n')
  })

  test('killed after any delivery, before its position is stored, it has every record exactly once in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(8), { maxLength: 6 }), async (livesInBatches) => {
        const folder = newFolder()
        const { log, codec } = await logWith([40, 25])
        const append = log.append.bind(log)
        for (const batches of [...livesInBatches, Number.POSITIVE_INFINITY]) {
          let left = batches
          log.append = async (records) => {
            if (left-- <= 0) throw new Error('killed')
            return append(records)
          }
          const connector = { ...createFileConnector({ id: 'tool', folder }), batchMax: 7 }
          const runner = await ConnectorRunner.start({ log, codec, connector, topic, clock: jumpingClock() })
          await runner.drain().catch((error) => expect(error.message).toBe('killed'))
          if (batches === Number.POSITIVE_INFINITY) expect(runner.status).toMatchObject({ delivered: 65, dead: 0 })
          await connector.close()
        }
        expect(offsetsOf(folder, 0)).toEqual(Array.from({ length: 40 }, (_, i) => i))
        expect(offsetsOf(folder, 1)).toEqual(Array.from({ length: 25 }, (_, i) => i))
      }),
      { numRuns: 25 },
    )
  })
})
