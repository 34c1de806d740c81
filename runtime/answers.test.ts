import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Answer, Answers, everyone } from './answers.ts'

const scope = { tenant: 'shop', hash: 'here', settings: '{}' }

const record = (id: string, untilMs: number, found: string | null = null) => {
  const answer: Answer = { scope: scope.hash, untilMs, found, failures: [] }
  return {
    tenant: scope.tenant,
    hash: '',
    kind: 'answer' as const,
    id,
    body: JSON.stringify(answer),
    version: 0,
    actor: '',
  }
}

const answersOf = (records: readonly ReturnType<typeof record>[], max?: number): Answers => {
  const answers = new Answers(max)
  for (const [offset, each] of records.entries()) answers.keep(each, offset)
  return answers
}

test('the first answer in the topic that holds at an instant is the one', () => {
  const answers = answersOf([record('a', 10), record('a', 20), record('a', 100, 'body'), record('a', 90)])
  expect(answers.find(scope, 'a', 19)?.found).toBeNull()
  expect(answers.find(scope, 'a', 20)?.found).toBe('body')
  expect(answers.find(scope, 'a', 100)).toBeUndefined()
  expect(answers.find(scope, 'b', 1)).toBeUndefined()
  expect(answers.find({ ...scope, hash: 'there' }, 'a', 1)).toBeUndefined()
})

test('one for everyone is for those who had none before it', () => {
  const answers = answersOf([record('old', 10, 'body'), record(everyone, 50), record('new', 90, 'body')])
  expect(answers.find(scope, 'new', 49)?.found).toBeNull()
  expect(answers.find(scope, 'new', 50)?.found).toBe('body')
  expect(answers.find(scope, 'never', 49)?.found).toBeNull()
  expect(answers.find(scope, 'never', 50)).toBeUndefined()
  expect(answers.find(scope, 'old', 20)).toBeUndefined()
})

test('what holds at an instant is what a plain reading of the topic says, and never changes', () => {
  const one = fc.record({
    id: fc.constantFrom('a', 'b', everyone),
    untilMs: fc.integer({ min: 1, max: 30 }),
    found: fc.constantFrom(null, 'x', 'y'),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 20 }), fc.constantFrom('a', 'b'), fc.nat(30), (topic, id, atMs) => {
      const records = topic.map((each) => record(each.id, each.untilMs, each.id === everyone ? null : each.found))
      const first = topic.findIndex((each) => each.id === id)
      const plain = topic.find(
        (each, at) => atMs < each.untilMs && (each.id === id || (each.id === everyone && (first < 0 || at < first))),
      )
      const expected = plain && (plain.id === everyone ? null : plain.found)
      expect(answersOf(records).find(scope, id, atMs)?.found).toBe(expected)
      // a process that has read less of the topic knows less, and nothing else
      for (let read = 0; read < records.length; read++) {
        const known = answersOf(records.slice(0, read)).find(scope, id, atMs)
        if (known) expect(known.found).toBe(expected)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('of what nobody has, the oldest leaves the memory, and is known to have', () => {
  const records = Array.from({ length: 30 }, (_, at) => record(`k${at}`, at + 1))
  const answers = answersOf([record('found', 5, 'body'), ...records], 20)
  const isLost = (id: string, atMs: number) =>
    answers.find(scope, id, atMs) === undefined && answers.mayBeForgotten({ scope, id, atMs })
  expect(isLost('k0', 0)).toBe(true)
  expect(isLost('k29', 0)).toBe(false)
  expect(answers.find(scope, 'found', 1)?.found).toBe('body')
  expect(answers.mayBeForgotten({ scope, id: 'never', atMs: 100 })).toBe(false)
})
