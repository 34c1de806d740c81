import { describe, expect, test } from 'vitest'
import type { PathStep, PseudonymRule } from '../../../schemas/definitions.ts'
import { addToCart, cartEvent, enriching, eventOf, pageView, process, product, rawOf } from '../testing.ts'
import { coveredJson } from './pseudonyms.ts'

const rule: PseudonymRule = {
  algorithm: 'SHA-256',
  salts: [{ env: 'SALT', fromMs: null }],
  anonymousOnly: false,
  columns: ['user_id', 'user_ipaddress'],
  data: [],
}
const shop = (parts: Partial<PseudonymRule> = {}) =>
  enriching({ pseudonyms: { ...rule, ...parts } }, { SALT: 'pepper123', NEXT: 'pepper124' })
const ada = { ...pageView, uid: 'john@acme.com' }
const known = '7d8a4beae5bc9d314600667d2f410918f9af265017a6ade99f60a9c8f3aac6e9'

describe('a column', () => {
  test('is replaced by the digest of its value and the salt; another is left alone', () => {
    const event = eventOf(rawOf(ada), shop())
    expect(event.user_id).toBe(known)
    expect(event.user_ipaddress).toMatch(/^[0-9a-f]{64}$/)
    expect(event.domain_userid).toBe(pageView['duid'])
    expect(event.event_id).toBe(pageView['eid'])
  })

  test('that is not set is not created', () => {
    expect(eventOf(rawOf(pageView), shop()).user_id).toBeNull()
  })

  test('that was too long is not, once it is replaced', () => {
    expect(eventOf(rawOf({ ...ada, uid: 'x'.repeat(300) }), shop()).user_id).toHaveLength(64)
  })

  test.each([
    ['MD5', 32],
    ['SHA-1', 40],
    ['SHA-384', 96],
    ['SHA-512', 128],
  ] as const)('by %s', (algorithm, length) => {
    expect(eventOf(rawOf(ada), shop({ algorithm })).user_id).toMatch(new RegExp(`^[0-9a-f]{${length}}$`))
  })

  test('is hidden of those who asked for it only, where that is set', () => {
    const quiet = shop({ anonymousOnly: true })
    expect(eventOf(rawOf(ada), quiet).user_id).toBe('john@acme.com')
    expect(eventOf(rawOf(ada, { headers: ['SP-Anonymous: *'] }), quiet).user_id).toBe(known)
  })

  test('has the salt of its log time: keys are rotated at an instant of the log', () => {
    const rotating = (fromMs: number) =>
      shop({
        salts: [
          { env: 'SALT', fromMs: null },
          { env: 'NEXT', fromMs },
        ],
      })
    const at = (fromMs: number) => eventOf(rawOf(ada), rotating(fromMs)).user_id
    const { logTimeMs } = logTime()
    expect(at(logTimeMs + 1)).toBe(known)
    expect(at(logTimeMs)).not.toBe(known)
    expect(at(logTimeMs)).toBe(at(0))
  })
})

describe('self-describing data', () => {
  const data = (criterion: string, ...paths: PathStep[][]): Partial<PseudonymRule> => ({ data: [{ criterion, paths }] })
  const sku: PathStep[] = [{ step: 'member', name: 'sku' }]
  const cart = rawOf(cartEvent({ sku: 'A', quantity: 1 }, { sku: 'B' }, { sku: 'C' }))

  test.each([
    ['iglu:com.acme/add_to_cart/jsonschema/1-*-*', true, false],
    ['iglu:com.acme/product/jsonschema/1-0-0', false, true],
    ['iglu:com.acme/product/jsonschema/*-*-*', false, true],
    ['iglu:com.acme/product/jsonschema/2-*-*', false, false],
    ['iglu:com.acme/prod/jsonschema/*-*-*', false, false],
  ])('is meant by %s', (criterion, inEvent, inEntities) => {
    const { unstruct_event, contexts } = eventOf(cart, shop(data(criterion, sku)))
    expect(unstruct_event!.data.includes('"A"')).toBe(!inEvent)
    expect(contexts.map((context) => context.data.length > 20)).toEqual([inEntities, inEntities])
    expect([unstruct_event!.schema, contexts[0]!.schema]).toEqual([addToCart, product])
  })

  test('of entities that enrichments added, too', () => {
    const agents = data('iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-*-*', [
      { step: 'member', name: 'deviceFamily' },
    ])
    const of = { ...shop(agents), enrichments: { ...shop(agents).enrichments, userAgent: true } }
    for (let again = 0; again < 2; again++) {
      const [entity] = eventOf(rawOf(pageView), of).derived_contexts
      expect(JSON.parse(entity!.data)).toMatchObject({ deviceFamily: expect.stringMatching(/^[0-9a-f]{64}$/) })
    }
  })
})

const member = (name: string): PathStep => ({ step: 'member', name })
const every: PathStep = { step: 'every' }

test.each<[string, PathStep[][], string]>([
  ['{"a":"x","b":"y"}', [[member('a')]], '{"a":"<x>","b":"y"}'],
  ['{"b":"y"}', [[member('a')]], '{"b":"y"}'],
  [
    '{"a":{"b":null,"c":true,"d":7,"e":["x",{"f":"y"}]}}',
    [[member('a')]],
    '{"a":{"b":null,"c":true,"d":"<7>","e":["<x>",{"f":"<y>"}]}}',
  ],
  ['{"a":[{"b":"x"},{"c":"y"}]}', [[member('a'), every, member('b')]], '{"a":[{"b":"<x>"},{"c":"y"}]}'],
  ['{"a":["x","y"]}', [[member('a'), { step: 'index', index: 1 }]], '{"a":["x","<y>"]}'],
  [
    '{"a":["x","y"]}',
    [
      [member('a'), { step: 'index', index: 2 }],
      [member('a'), member('length')],
    ],
    '{"a":["x","y"]}',
  ],
  [
    '{"a":{"m":"x","n":[{"m":{"m":"y"}}]},"m":1}',
    [[{ step: 'anywhere', name: 'm' }]],
    '{"a":{"m":"<x>","n":[{"m":{"m":"<y>"}}]},"m":"<1>"}',
  ],
  ['{"a":{"b":"x"}}', [[member('a')], [member('a'), member('b')]], '{"a":{"b":"<x>"}}'],
  ['{"__proto__":{"a":"x"},"b":"y"}', [[member('__proto__'), member('a')]], '{"__proto__":{"a":"<x>"},"b":"y"}'],
  ['{"a":{}}', [[member('a'), member('toString')]], '{"a":{}}'],
])('%s', (json, paths, expected) => {
  expect(coveredJson(json, paths, (value) => `<${value}>`)).toBe(expected)
})

function logTime(): { logTimeMs: number } {
  let logTimeMs = 0
  for (const effect of process({ kind: 'event', key: 'shop/x', value: rawOf(ada) })) {
    if (effect.effect === 'pass') logTimeMs = (effect.value as { etl_tstamp: number }).etl_tstamp
  }
  return { logTimeMs }
}
