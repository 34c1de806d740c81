import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byAge, joined, listedIdentifiersMax, newRoot, type Root, rootOf } from './forest.ts'

test('however profiles are joined, paths are short and the oldest survives', () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 63 }), fc.nat({ max: 63 }), fc.nat({ max: 63 })), { maxLength: 120 })
  const ages = fc.array(fc.nat({ max: 40 }), { minLength: 64, maxLength: 64 })
  fc.assert(
    fc.property(ages, steps, (createdAtMs, triples) => {
      const nodes = new Map(createdAtMs.map((atMs, i) => [`p${i}`, newRoot(`p${i}`, atMs).node]))
      const component = new Map([...nodes.keys()].map((id) => [id, new Set([id])]))
      const find = (id: string): Root => rootOf(id, (each) => nodes.get(each))!
      for (const triple of triples) {
        const roots = new Map(triple.map((i) => find(`p${i}`)).map((root) => [root.id, root]))
        const { root, below } = joined([...roots.values()], 1)
        for (const { id, node } of [root, ...below]) nodes.set(id, node)
        const members = new Set(triple.flatMap((i) => [...component.get(`p${i}`)!]))
        for (const id of members) component.set(id, members)
      }
      for (const [id, members] of component) {
        const oldest = [...members].map((each) => newRoot(each, createdAtMs[Number(each.slice(1))]!)).sort(byAge)[0]!
        expect(find(id).node.survivor).toBe(oldest.id)
        expect(find(id).node.merges).toBe(members.size - 1)
        expect(depthOf(id, nodes)).toBeLessThanOrEqual(Math.log2(members.size))
      }
    }),
    { numRuns: 300 },
  )
})

function depthOf(id: string, nodes: ReadonlyMap<string, Root['node']>): number {
  const { parent } = nodes.get(id)!
  return parent === null ? 0 : 1 + depthOf(parent, nodes)
}

test('joining gathers values of unique namespaces and the first identifiers, up to a bound', () => {
  const profile = (id: string, atMs: number, from: number): Root => ({
    id,
    node: {
      ...newRoot(id, atMs).node,
      unique: { [`n${id}`]: id },
      identifiers: Array.from({ length: 150 }, (_, i) => ({ namespace: 'c', hash: `${id}${i}`, linkedAtMs: from + i })),
    },
  })
  const { root, below } = joined([profile('b', 2, 0), profile('a', 1, 75)], 7)
  expect(root.node).toMatchObject({ survivor: 'a', createdAtMs: 1, rank: 1, unique: { na: 'a', nb: 'b' } })
  expect(root.node.identifiers).toHaveLength(listedIdentifiersMax)
  expect(root.node.identifiers.at(-1)).toEqual({ namespace: 'c', hash: 'a62', linkedAtMs: 137 })
  expect(below).toEqual([
    { id: 'b', node: expect.objectContaining({ parent: 'a', mergeSeq: 7, unique: {}, identifiers: [] }) },
  ])
})

test('a root is not found while a node on the way is unread', () => {
  const child = { ...newRoot('b', 1).node, parent: 'a' }
  expect(rootOf('b', (id) => (id === 'b' ? child : undefined))).toBeUndefined()
  expect(rootOf('x', () => null)).toBeUndefined()
})
