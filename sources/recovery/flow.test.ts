import { describe, expect, test } from 'vitest'
import { type Flow, flowsOf } from './flow.ts'
import { placeOf } from './place.ts'

const badRows = 'iglu:com.snowplowanalytics.snowplow.badrows'
const schemaViolations = `${badRows}/schema_violations/jsonschema/2-0-1`
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const opened = (text: string): unknown => JSON.parse(Buffer.from(text, 'base64url').toString())

const contexts = {
  schema: 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0',
  data: [
    { schema: 'iglu:com.acme/product/jsonschema/1-0-0', data: { sku: '1', price: 12 } },
    { schema: 'iglu:org.w3/PerformanceTiming/jsonschema/1-0-0', data: { navigationStart: 1415358089861 } },
    { schema: 'iglu:com.acme/product/jsonschema/1-0-0', data: { sku: 2 } },
  ],
}
const payload = {
  raw: {
    vendor: 'com.snowplowanalytics.snowplow',
    refererUri: null,
    timestamp: '2024-03-10T12:00:00.000Z',
    parameters: [
      { name: 'aid', value: 'shop-stage' },
      { name: 'cx', value: base64(contexts) },
      { name: 'co', value: JSON.stringify(contexts) },
      { name: 'vid', value: '7' },
    ],
  },
  enriched: { app_id: 'shop', br_cookies: 1, flags: [1, 2], ok: true },
}
const row = { schema: schemaViolations, data: { processor: { artifact: 'x' }, failure: { messages: [1, 2] }, payload } }

const configOf = (steps: readonly unknown[], conditions: readonly unknown[] = [], criterion = schemaViolations) => ({
  schema: 'iglu:com.snowplowanalytics.snowplow/recoveries/jsonschema/4-0-0',
  data: { [criterion]: [{ name: 'flow', conditions, steps }] },
})
const flowOf = (...args: Parameters<typeof configOf>): Flow | undefined =>
  flowsOf(JSON.stringify(configOf(...args)), 'flow.json')(row)
// biome-ignore lint/suspicious/noExplicitAny: what a payload holds is what its test says
const mended = (...steps: readonly unknown[]): any => flowOf(steps)?.apply(payload)
const parameter = (made: typeof payload, name: string) => made.raw.parameters.find((each) => each.name === name)?.value

describe('steps', () => {
  test('replace what a pattern finds in a text, or all of it', () => {
    const at = { op: 'Replace', path: '$.raw.parameters.aid' }
    expect(parameter(mended({ ...at, match: '(?U)^.*$', value: 'web' }), 'aid')).toBe('web')
    expect(parameter(mended({ ...at, match: '-(\\w+)', value: '.$1' }), 'aid')).toBe('shop.stage')
    expect(parameter(mended({ ...at, match: null, value: 'all' }), 'aid')).toBe('all')
    expect(mended({ ...at, path: '$.raw.refererUri', value: 'https://a.example/' }).raw.refererUri).toBe(
      'https://a.example/',
    )
  })

  test('reach into base64 and JSON, and write it back', () => {
    const steps = ['cx', 'co'].map((name) => ({
      op: 'Replace',
      path: `$.raw.parameters.${name}.data.[?(@.schema=~iglu:com.acme/product/.*)].schema`,
      match: '1-0-0$',
      value: '1-0-1',
    }))
    const made = mended(...steps)
    for (const value of [opened(parameter(made, 'cx')!), JSON.parse(parameter(made, 'co')!)]) {
      expect(value.data.map(({ schema }: { schema: string }) => schema)).toEqual([
        'iglu:com.acme/product/jsonschema/1-0-1',
        'iglu:org.w3/PerformanceTiming/jsonschema/1-0-0',
        'iglu:com.acme/product/jsonschema/1-0-1',
      ])
    }
    // at the end of a path, as in it
    const whole = mended({ op: 'Replace', path: '$.raw.parameters.cx', match: 'com\\.acme', value: 'com.other' })
    expect(JSON.stringify(opened(parameter(whole, 'cx')!))).toContain('iglu:com.other/product')
    expect(payload.raw.parameters[1]?.value).toBe(base64(contexts))
  })

  test('cast', () => {
    const path = '$.raw.parameters.cx.data.[?(@.data.navigationStart=~([0-9]+))].data.navigationStart'
    const cast = (at: string, from: string, to: string) => mended({ op: 'Cast', path: at, from, to })
    const timing = (made: typeof payload) => (opened(parameter(made, 'cx')!) as typeof contexts).data[1]?.data
    expect(timing(cast(path, 'Numeric', 'String'))).toEqual({ navigationStart: '1415358089861' })
    expect(timing(cast(path, 'Numeric', 'Boolean'))).toEqual({ navigationStart: true })
    expect(timing(cast(path, 'Numeric', 'Array'))).toEqual({ navigationStart: [1415358089861] })
    expect(parameter(cast('$.raw.parameters.vid', 'String', 'Numeric'), 'vid')).toBe(7)
    expect(cast('$.enriched.ok', 'Boolean', 'Numeric').enriched.ok).toBe(1)
    expect(() => cast('$.raw.parameters.aid', 'String', 'Numeric')).toThrow('shop-stage cannot be cast')
  })

  test('remove', () => {
    const remove = (path: string, match?: string) => mended({ op: 'Remove', path, ...(match && { match }) })
    expect(parameter(remove('$.raw.parameters.aid'), 'aid')).toBeUndefined()
    expect(parameter(remove('$.raw.parameters.aid', 'nothing'), 'aid')).toBe('shop-stage')
    expect(remove('$.enriched.flags.[0]').enriched.flags).toEqual([2])
    const made = remove('$.raw.parameters.cx.data.[?(@.schema=~PerformanceTiming)]')
    expect((opened(parameter(made, 'cx')!) as typeof contexts).data).toHaveLength(2)
  })

  test('of other types take what is of their type', () => {
    const replace = (path: string, value: unknown, match?: string) =>
      mended({ op: 'Replace', path, value, ...(match && { match }) }).enriched
    expect(replace('$.enriched.br_cookies', 0).br_cookies).toBe(0)
    expect(replace('$.enriched.flags', [3], '1').flags).toEqual([2, 3])
    expect(replace('$.enriched.flags', '9', '1').flags).toEqual([9, 2])
    expect(() => replace('$.enriched.br_cookies', 'no')).toThrow('a number is not replaced by no')
  })

  test.each([
    '$.raw.nothing',
    '$.raw.parameters.xx',
    '$.enriched.flags.[7]',
    '$.raw.parameters.cx.data.[?(@.schema=~none)]',
  ])('do not fit when there is no %s', (path) =>
    expect(() => mended({ op: 'Remove', path })).toThrow(/there is no|no member/),
  )
})

describe('conditions', () => {
  test.each<[string, unknown, boolean]>([
    ['$.payload.raw.vendor', { regex: 'com.snowplow.*' }, true],
    ['$.payload.raw.vendor', { regex: '^snowplow' }, false],
    ['$.payload.raw.vendor', { value: 'com.snowplowanalytics.snowplow' }, true],
    ['$.payload.raw.refererUri', { value: null }, true],
    ['$.payload.raw.refererUri', { regex: '.*' }, false],
    ['$.payload.raw.parameters.cx.data.[?(@.schema=~product)].data.sku', { value: 2 }, true],
    ['$.failure.messages', { size: { eq: 2 } }, true],
    ['$.failure.messages', { size: { gt: 2 } }, false],
    ['$.payload.enriched.br_cookies', { size: { lt: 2 } }, true],
    ['$.payload.nothing', { regex: '.*' }, false],
  ])('%s %j', (path, value, holds) => {
    expect(flowOf([], [{ op: 'Test', path, value }]) !== undefined).toBe(holds)
  })

  test('the first flow whose conditions hold is taken; a schema may be named in part', () => {
    const never = { name: 'never', conditions: [{ op: 'Test', path: '$.payload.x', value: { value: 1 } }], steps: [] }
    const flows = (criterion: string) => ({
      ...configOf([]),
      data: {
        [criterion]: [never, { name: 'a', conditions: [], steps: [] }, { name: 'b', conditions: [], steps: [] }],
      },
    })
    const nameFor = (criterion: string) => flowsOf(JSON.stringify(flows(criterion)), 'f')(row)?.name
    expect(nameFor(schemaViolations)).toBe('a')
    expect(nameFor(`${badRows}/schema_violations/jsonschema/2-*-*`)).toBe('a')
    expect(nameFor(`${badRows}/schema_violations/jsonschema/1-*-*`)).toBeUndefined()
  })
})

test.each<[unknown, string]>([
  ['{', 'flow.json: no JSON'],
  [{ ...configOf([]), schema: 'x' }, 'flow.json: schema: expected iglu:'],
  [configOf([{ op: 'Add', path: '$.a' }]), `data.${schemaViolations}.0.steps.0.op`],
  [configOf([{ op: 'Remove', path: '$..a' }]), 'steps.0.path: no step of a path at .a'],
  [configOf([{ op: 'Remove', path: '$' }]), 'the path leads nowhere'],
  [configOf([{ op: 'Remove', path: '$.a', match: '(' }]), 'steps.0.match: no regular expression'],
  [configOf([{ op: 'Cast', path: '$.a', from: 'Text', to: 'Array' }]), 'steps.0.from'],
])('what is wrong in a file is said with its path: %#', (config, message) => {
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  expect(() => flowsOf(text, 'flow.json')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
  )
})

test('a path may hold a pattern with dots and brackets', () => {
  expect(placeOf('$.a.[?(@.b.c=~([0-9]+).x[.])].d').map((step) => step.kind)).toEqual(['name', 'filter', 'name'])
})
