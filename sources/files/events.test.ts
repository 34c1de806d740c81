import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventsOf, type FileEvent, type FileOptions, lineBytesMax, openInput } from './events.ts'
import { linesOf } from './lines.ts'

const nowMs = Date.parse('2024-06-01T00:00:00Z')
const options: FileOptions = { tenant: 'shop', format: 'ndjson', name: 'web.ndjson', history: false, now: () => nowMs }

describe('lines', () => {
  test('are the same however the bytes arrive', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\n', '\r\n', ' '), maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (text, sizes) => {
        const lines = await all(linesOf(chunked(text, sizes), 1_000))
        const expected = text.split('\n').map((line, at, { length }) => (at < length ? line.replace(/\r$/, '') : line))
        if (text === '' || text.endsWith('\n')) expected.pop()
        expect(lines.map((line) => line.text)).toEqual(expected)
        expect(lines.map((line) => line.number)).toEqual(expected.map((_, index) => index + 1))
        expect(lines.at(-1)?.position ?? 0).toBe(Buffer.byteLength(text))
      }),
    )
  })

  test('keep only the head of one that is too long, and lose no other', async () => {
    const lines = await all(linesOf(chunked(`a\n${'b'.repeat(100)}\nc`, [7]), 10))
    expect(lines.map(({ text, bytes }) => [text, bytes])).toEqual([
      ['a', 1],
      ['bbbbbbbbbb', 100],
      ['c', 1],
    ])
  })

  test('do not start with a byte order mark', async () => {
    expect((await all(linesOf(chunked('\ufeff{}\n\ufeff', [2]), 10))).map(({ text }) => text)).toEqual(['{}', '\ufeff'])
  })
})

describe('the events of a file', () => {
  test('are its lines, each an event of its own, under the key of its client', async () => {
    const events = await read(
      '{"event":"page_view","domain_userid":"a"}\n\n  \r\n{"event":"page_view","user_id":"b"}\n',
    )
    expect(events.map(({ raw, key }) => [raw.payloadId, raw.index, raw.failure, key])).toEqual([
      ['web.ndjson:1', 0, null, 'shop/a'],
      ['web.ndjson:4', 0, null, 'shop/b'],
    ])
    expect(events[0]).toMatchObject({ declaredTimeMs: Number.NaN, raw: { collectorTstampMs: nowMs, source: 'ingest' } })
  })

  test('of tp2 are payloads of several, or the parameters of one', async () => {
    const schema = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'
    const lines = [
      {
        schema,
        data: [
          { e: 'pv', duid: 'a' },
          { e: 'pv', duid: 'b' },
        ],
      },
      { e: 'pv', duid: 'c' },
    ]
    const events = await read(lines.map((line) => JSON.stringify(line)).join('\n'), { format: 'tp2' })
    expect(events.map(({ raw, key }) => [raw.payloadId, raw.index, key])).toEqual([
      ['web.ndjson:1', 0, 'shop/a'],
      ['web.ndjson:1', 1, 'shop/b'],
      ['web.ndjson:2', 0, 'shop/c'],
    ])
  })

  test.each(['tp2', 'ndjson'] as const)(
    'of %s that are no events are failures that hold their line',
    async (format) => {
      const events = await read(`{"a":\n[]\n"x"\n${'y'.repeat(lineBytesMax.tp2 + 1)}\n{}`, { format })
      expect(events.map(({ raw }) => raw.failure?.kind)).toEqual(['json', 'data', 'data', 'size', undefined])
      expect(events[0]?.raw.body).toBe('{"a":')
    },
  )

  test('of an empty file are none', async () => {
    expect(await read('')).toEqual([])
    expect(await read('\n\n')).toEqual([])
  })

  test('of a history have the time they say, never going back, never in the future', async () => {
    const times = [
      'not said',
      '2024-01-01T00:00:05Z',
      '2024-01-01T00:00:03Z',
      '9999-12-31T23:59:59Z',
      'no time',
      '2024-01-01 00:00:09.250',
      '0001-01-01T00:00:00Z',
    ]
    const text = times.map((time) => JSON.stringify({ collector_tstamp: time })).join('\n')
    const at = (seconds: number) => Date.parse('2024-01-01T00:00:00Z') + seconds * 1_000
    const events = await read(text, { history: true })
    expect(events.map(({ declaredTimeMs }) => declaredTimeMs)).toEqual([
      0,
      at(5),
      at(5),
      at(5),
      at(5),
      at(9.25),
      at(9.25),
    ])
    expect(events.map(({ raw }) => raw.collectorTstampMs)).toEqual([0, at(5), at(3), at(5), at(5), at(9.25), at(9.25)])
  })

  test('of a tp2 history have the time they were sent, or else made', async () => {
    const events = await read('{"dtm":"1000","stm":"5000"}\n{"dtm":"7000"}\n{"e":"pv"}', {
      history: true,
      format: 'tp2',
    })
    expect(events.map(({ declaredTimeMs }) => declaredTimeMs)).toEqual([5_000, 7_000, 7_000])
  })

  test('say how far the input was read', async () => {
    expect((await read('{}\n{"é":1}\n{}')).map(({ position }) => position)).toEqual([3, 12, 14])
  })
})

describe('an input', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-files-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('is a file, whose size is known', async () => {
    const path = join(folder, 'events.ndjson')
    await writeFile(path, '{"event":"page_view"}\n')
    const { chunks, totalBytes } = await openInput(path)
    expect(totalBytes).toBe(22)
    expect(await all(eventsOf(chunks, options))).toHaveLength(1)
  })

  test('is standard input, whose size is not', async () => {
    const { chunks, totalBytes } = await openInput('-', chunked('{}', [1]))
    expect(totalBytes).toBeNull()
    expect(await all(eventsOf(chunks, options))).toHaveLength(1)
  })

  test('that is not there, or is no file, is a clear error', async () => {
    await expect(openInput(join(folder, 'none'))).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: `cannot read ${join(folder, 'none')}: there is no such file`,
    })
    await expect(openInput(folder)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: `${folder} is a folder, not a file`,
    })
  })
})

function read(text: string, parts: Partial<FileOptions> = {}): Promise<readonly FileEvent[]> {
  return all(eventsOf(chunked(text, [1_000_003]), { ...options, ...parts }))
}

/** The text's bytes in chunks of these sizes, over and over. */
async function* chunked(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    yield bytes.subarray(from, from + size)
    from += size
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}
