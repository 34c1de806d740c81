/** How events are held against schemas: what a tenant may choose, and what the event says of it. */
import { describe, expect, test } from 'vitest'
import type { BadRow, Event } from '../../schemas/avro/types.ts'
import { type Definitions, type IgluRules, igluDefaults, type SchemaAnswer } from '../../schemas/definitions.ts'
import { definitions, effectsOf, pageView, rawOf, unstruct } from './testing.ts'

const order = 'iglu:com.acme/order/jsonschema/1-0-0'
const newer = 'iglu:com.acme/order/jsonschema/1-0-1'
const newest = 'iglu:com.acme/order/jsonschema/1-1-0'

const orderSchema = {
  properties: {
    total: { type: 'integer' },
    note: { type: 'string' },
    gift: { type: ['string', 'null'] },
    id: { type: 'string' },
    lines: { type: 'array', items: { $ref: '#/definitions/line' } },
  },
  required: ['id'],
  definitions: { line: { properties: { sku: { type: 'string' }, count: { type: 'integer' } } } },
}

const tenantWith = (schemas: Record<string, object>, iglu: Partial<IgluRules> = {}): Definitions => ({
  ...definitions,
  schemas: new Map(Object.entries(schemas).map(([key, schema]) => [key, JSON.stringify(schema)])),
  iglu: { ...igluDefaults, ...iglu },
})

type Read = { readonly event: Event } | { readonly messages: readonly Record<string, unknown>[] }

/** Of an event with these data, given as JSON. */
function read(tenant: Definitions, data: string, schema = order): Read {
  const ue_pr = Buffer.from(unstruct(schema, '#'), 'base64url').toString().replace('"#"', data)
  const out = effectsOf(rawOf({ ...pageView, e: 'ue', ue_pr }), tenant).find(({ effect }) => effect !== 'count')
  if (out?.effect === 'pass') return { event: out.value as Event }
  if (out?.effect !== 'emit') throw new Error('neither an event nor a bad row')
  return { messages: JSON.parse((out.value as BadRow).data).failure.messages }
}

const eventOf = (...args: Parameters<typeof read>): Event => {
  const made = read(...args)
  if ('messages' in made) throw new Error(JSON.stringify(made.messages))
  return made.event
}
const wordsOf = (...args: Parameters<typeof read>): readonly string[] => {
  const made = read(...args)
  if ('event' in made) return []
  return made.messages.flatMap(({ error }) =>
    (error as { dataReports: { message: string }[] }).dataReports.map(({ message }) => message),
  )
}

describe('nulls', () => {
  const data = '{"id":"7","note":null,"gift":null,"lines":[{"sku":null,"count":1},{"sku":"a"}],"more":null}'

  test('are values, as in Iglu', () => {
    expect(wordsOf(tenantWith({ [order]: orderSchema }), data)).toEqual([
      '$.note: null found, string expected',
      '$.lines[0].sku: null found, string expected',
    ])
  })

  test('are taken for absent where a tenant says so and the property is optional and has no null; the event tells', () => {
    const event = eventOf(tenantWith({ [order]: orderSchema }, { nulls: 'drop' }), data)
    expect(event.unstruct_event?.data).toBe('{"id":"7","gift":null,"lines":[{"count":1},{"sku":"a"}],"more":null}')
    expect(event.derived_contexts).toEqual([
      {
        schema: 'iglu:com.millrace/dropped_nulls/jsonschema/1-0-0',
        data: JSON.stringify({ schema: order, paths: ['$.note', '$.lines[0].sku'] }),
      },
    ])
  })

  test('of a required property are never dropped, and an event without any says nothing of them', () => {
    const tenant = tenantWith({ [order]: orderSchema }, { nulls: 'drop' })
    expect(wordsOf(tenant, '{"id":null}')).toEqual(['$.id: null found, string expected'])
    expect(eventOf(tenant, '{"id":"7"}').derived_contexts).toEqual([])
  })

  test('by schema', () => {
    const nullsOf = [
      { schema: 'iglu:com.acme/order/jsonschema/1-0-*', nulls: 'drop' },
      { schema: 'iglu:com.acme/*/jsonschema/*-*-*', nulls: 'keep' },
    ] as const
    const tenant = tenantWith({ [order]: orderSchema, [newest]: orderSchema }, { nullsOf })
    expect(wordsOf(tenant, '{"id":"7","note":null}')).toEqual([])
    expect(wordsOf(tenant, '{"id":"7","note":null}', newest)).toHaveLength(1)
  })
})

describe('an integer', () => {
  test('may be spelled 1.0, unless a tenant says otherwise', () => {
    const lenient = tenantWith({ [order]: orderSchema })
    const written = tenantWith({ [order]: orderSchema }, { integers: 'as_written' })
    for (const total of ['1.0', '1e2', '-3.00E+1']) {
      expect(wordsOf(lenient, `{"id":"7","total":${total}}`)).toEqual([])
      expect(wordsOf(written, `{"id":"7","total":${total}}`)).toEqual(['$.total: number found, integer expected'])
    }
    const { unstruct_event } = eventOf(written, '{"id":"1.0 \\"#1.0","total":12,"more":[1.0,"#1.0",1.5]}')
    expect(unstruct_event?.data).toBe('{"id":"1.0 \\"#1.0","total":12,"more":[1,"#1.0",1.5]}')
  })
})

describe('a schema that is superseded', () => {
  test('in the workspace: data are held against the newest of the chain, and the event says so', () => {
    const tenant = tenantWith({
      [order]: { required: ['gone'] },
      [newer]: { $supersedes: ['1-0-0'], required: ['gone'] },
      [newest]: { $supersedes: ['1-0-1'], properties: { total: { type: 'integer' } } },
    })
    const event = eventOf(tenant, '{"total":1}')
    expect(event.unstruct_event?.schema).toBe(newest)
    expect(event.event_version).toBe('1-1-0')
    expect(event.derived_contexts.map(({ data }) => JSON.parse(data))).toEqual([
      { originalSchema: order, validatedWith: '1-1-0' },
    ])
    const made = read(tenant, '{"total":"x"}')
    expect(made).toMatchObject({ messages: [{ schemaKey: order, error: { supersededBy: '1-1-0' } }] })
  })

  test('is so by a later version alone', () => {
    const tenant = tenantWith({ [order]: { $supersedes: ['1-1-0', 'x', 7] }, [newest]: { $supersededBy: '1-0-0' } })
    expect(eventOf(tenant, '{}', newest).unstruct_event?.schema).toBe(newest)
  })
})

describe('a schema of a registry', () => {
  const answers = (answer: SchemaAnswer | undefined) => ({ ...tenantWith({}), lookup: () => answer })

  test('that nobody has been asked for yet: there is no verdict', () => {
    expect(() => read(answers(undefined), '{}')).toThrowError(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
  })

  test('is held against the data', () => {
    const text = '{"type":"array"}'
    expect(wordsOf(answers({ schema: { uri: order, text }, failures: [] }), '{}')).toEqual([
      '$: object found, array expected',
    ])
  })

  test('that none has: the bad row says who was asked, and who could not say', () => {
    const failures = [{ repository: 'acme', message: 'answered 403' }]
    const registries = {
      cacheTtlMs: null,
      refresh: 0,
      repositories: ['central', 'acme'].map((name) => ({
        name,
        priority: 0,
        vendorPrefixes: [],
        at: { folder: name },
      })),
    }
    const tenant = { ...tenantWith({}, { registries }), lookup: () => ({ schema: null, failures }) }
    const made = read(tenant, '{}')
    expect(made).toMatchObject({
      messages: [
        {
          schemaKey: order,
          error: {
            error: 'ResolutionError',
            lookupHistory: [
              { repository: 'Millrace definitions', errors: [{ error: 'NotFound' }] },
              { repository: 'central', errors: [{ error: 'NotFound' }] },
              { repository: 'acme', errors: [{ error: 'ClientFailure', message: 'answered 403' }] },
            ],
          },
        },
      ],
    })
  })

  test.each([
    ['iglu:com.acme/order/jsonschema/1-0', 'INVALID_SCHEMAVER'],
    ['iglu:com.acme/order/jsonschema/0-0-1', 'INVALID_SCHEMAVER'],
    ['iglu:com.acme/order/jsonschema/1-0-?', 'INVALID_SCHEMAVER'],
    ['iglu:com.acme/order/jsonschema', 'INVALID_IGLUURI'],
    [`iglu:${'v'.repeat(129)}/order/jsonschema/1-0-0`, 'INVALID_IGLUURI'],
  ])('%s is never asked for', (key, error) => {
    expect(read(answers(undefined), '{}', key)).toMatchObject({ messages: [{ error }] })
  })
})

test('ten thousand schemas in use take bounded memory, and each gives its verdict', () => {
  const many = 10_000
  const keyOf = (at: number) => `iglu:com.acme/s${at}/jsonschema/1-0-0`
  const schemaOf = (at: number) => ({
    properties: { [`p${at}`]: { type: 'integer', maximum: at } },
    required: [`p${at}`],
  })
  const tenant = tenantWith(Object.fromEntries(Array.from({ length: many }, (_, at) => [keyOf(at), schemaOf(at)])))
  for (let at = 0; at < many; at++) {
    expect(wordsOf(tenant, `{"p${at}":${at}}`, keyOf(at))).toEqual([])
    if (at % 100 === 0) expect(wordsOf(tenant, `{"p${at}":${at + 1}}`, keyOf(at))).toHaveLength(1)
  }
}, 60_000)
