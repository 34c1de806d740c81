/** What every store does. Run it over each adapter with `storeContract(name, make)`. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store, Stores, StoreWrite } from '../../runtime/store.ts'

/** Makes stores over the same lasting folder each time `reopen` is called, and throws it away at the end. */
export type StoresUnderTest = { reopen(): Stores; dispose(): Promise<void> }

export function storeContract(name: string, make: () => Promise<StoresUnderTest>): void {
  describe(`store: ${name}`, () => {
    let underTest: StoresUnderTest
    let stores: Stores
    let store: Store

    beforeEach(async () => {
      underTest = await make()
      stores = underTest.reopen()
      store = await stores.open('profile-0')
    })
    afterEach(async () => {
      await stores.close()
      await underTest.dispose()
    })

    const text = async (keys: string[]) => (await store.getMany(keys)).map((value) => value?.toString())
    const keysOf = async (from: string, to: string, limit = 1000) =>
      (await store.range(from, to, limit)).map(({ key }) => key)

    test('answers values in the order of the keys, and undefined where there is none', async () => {
      await store.write([set('a', '1'), set('b', '2'), set('é', '3')])
      expect(await text(['b', 'x', 'é', 'a', 'b'])).toEqual(['2', undefined, '3', '1', '2'])
      expect(await store.getMany([])).toEqual([])
    })

    test('an empty value is a value, null is none', async () => {
      await store.write([set('a', ''), set('b', '2')])
      await store.write([
        { key: 'b', value: null },
        { key: 'never', value: null },
      ])
      expect(await text(['a', 'b', 'never'])).toEqual(['', undefined, undefined])
    })

    test('the last write of a key in a batch wins', async () => {
      await store.write([
        set('a', '1'),
        { key: 'a', value: null },
        set('a', '2'),
        set('b', '1'),
        { key: 'b', value: null },
      ])
      expect(await text(['a', 'b'])).toEqual(['2', undefined])
      await store.write([])
    })

    test('a range has its start, not its end, and at most its limit', async () => {
      await store.write(['t/a', 't/b', 't/c', 't/d', 'u/a'].map((key) => set(key, key)))
      expect(await keysOf('t/b', 't/d')).toEqual(['t/b', 't/c'])
      expect(await keysOf('t/', 't0', 2)).toEqual(['t/a', 't/b'])
      expect(await keysOf('t/', 't0', 0)).toEqual([])
      expect(await keysOf('x', 'y')).toEqual([])
      expect(await keysOf('u', 't')).toEqual([])
      expect((await store.range('u', 'v', 9)).map(({ value }) => value.toString())).toEqual(['u/a'])
    })

    test('order is that of UTF-8 bytes, also above the surrogates', async () => {
      const keys = ['\uFFFD', '\u{10000}', 'z', 'é', '\u{1F600}']
      await store.write(keys.map((key) => set(key, key)))
      const byBytes = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(await keysOf('a', '\u{10FFFF}')).toEqual(byBytes)
    })

    test('clear leaves nothing, and the store goes on', async () => {
      await store.write([set('a', '1'), set('\u{10FFFF}', '2')])
      await store.clear()
      expect(await text(['a', '\u{10FFFF}'])).toEqual([undefined, undefined])
      expect(await keysOf('\u0000', '\u{10FFFF}')).toEqual([])
      await store.write([set('a', '2')])
      expect(await text(['a'])).toEqual(['2'])
    })

    test('what was written is there after closing and opening again, each task for itself', async () => {
      const other = await stores.open('profile-1')
      await store.write([set('a', '1')])
      await other.write([set('a', 'other')])
      await stores.close()
      stores = underTest.reopen()
      store = await stores.open('profile-0')
      expect(await text(['a'])).toEqual(['1'])
    })

    test('one that was removed is not there, and begins empty; the others stay', async () => {
      const other = await stores.open('profile-1')
      await store.write([set('a', '1')])
      await other.write([set('a', 'other')])
      await store.close()
      await stores.remove('profile-0')
      await stores.remove('profile-2') // there is none
      expect([await stores.has('profile-0'), await stores.has('profile-1')]).toEqual([false, true])
      store = await stores.open('profile-0')
      expect(await text(['a'])).toEqual([undefined])
      expect(await other.getMany(['a'])).toEqual([Buffer.from('other')])
    })

    test('a closed store refuses, and closing twice is fine', async () => {
      await store.close()
      await store.close()
      await expect(store.getMany(['a'])).rejects.toThrow('broken invariant')
      await expect(store.write([set('a', '1')])).rejects.toThrow('broken invariant')
    })

    test('does what a map sorted by UTF-8 bytes does', async () => {
      const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 })
      const write = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 8 }).map((b) => Buffer.from(b))) })
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(write, { maxLength: 8 })),
          key,
          key,
          fc.nat(5),
          async (batches, a, b, limit) => {
            await store.clear()
            const model = new Map<string, Buffer>()
            for (const batch of batches) {
              await store.write(batch)
              for (const { key, value } of batch) value === null ? model.delete(key) : model.set(key, value)
            }
            const sorted = [...model.keys()].map((k) => Buffer.from(k)).sort(Buffer.compare)
            const inRange = sorted.filter((k) => Buffer.from(a).compare(k) <= 0 && k.compare(Buffer.from(b)) < 0)
            const expected = inRange.slice(0, limit).map((k) => ({ key: k.toString(), value: model.get(k.toString()) }))
            expect(await store.range(a, b, limit)).toEqual(expected)
            const keys = [a, b, ...model.keys()]
            expect(await store.getMany(keys)).toEqual(keys.map((k) => model.get(k)))
          },
        ),
        { numRuns: 60 },
      )
    })
  })
}

function set(key: string, value: string): StoreWrite {
  return { key, value: Buffer.from(value) }
}
