import { expect, test } from 'vitest'
import { count, type Effect, emit, put } from '../../runtime/operator.ts'
import type {
  GraphState,
  IdentifiedEvent,
  Identifier,
  IdentityAlias,
  IdentityChange,
  IdentityRequest,
  Learned,
  MergeOrder,
} from '../../schemas/avro/types.ts'
import { shopDefinitions } from '../../test/identity-rules.ts'
import { emitted, OneOperator } from '../../test/one-operator.ts'
import { eventOf } from '../event/testing.ts'
import { identifierHash, profileIdOf, uuidV5 } from '../ids.ts'
import { graph } from './graph.ts'
import { ownersMax } from './verdict.ts'

const definitions = shopDefinitions()
const hashOf = (namespace: string, value: string) => identifierHash(definitions, namespace, value)
const profileOf = (namespace: string, value: string, generation = 0) =>
  profileIdOf(definitions, namespace, hashOf(namespace, value), generation)

/** `user_id=u1 domain_userid=d1`, best first. */
const parse = (text: string): readonly Identifier[] =>
  text.split(' ').map((each) => {
    const [namespace, value] = each.split('=') as [string, string]
    return { namespace, value, hash: hashOf(namespace, value) }
  })

class Graph {
  readonly operator = new OneOperator(graph, definitions)
  #requests = 0

  request(identifiers: string, parts: Partial<IdentityRequest> = {}): readonly Effect[] {
    const requestSeq = ++this.#requests
    const eventId = `e${requestSeq}`
    const value: IdentityRequest = {
      tenant: 'shop',
      kind: 'resolve',
      client: 'c1',
      requestSeq,
      setKey: `set:${identifiers}`,
      sittingId: 's1',
      sittingUser: null,
      identifiers: parse(identifiers),
      foundedAtMs: requestSeq * 10,
      eventId,
      collectorTstampMs: requestSeq * 10,
      event: eventOf({ event_id: eventId }),
      ...parts,
    }
    return this.operator.deliver({ kind: 'request', key: 'shop/s0', value }, { clockMs: 1000, logTimeMs: 1000 })
  }

  notice(identifier: string, parts: Partial<IdentityRequest> = {}): readonly Effect[] {
    return this.request(identifier, { kind: 'notice', event: null, requestSeq: 0, ...parts })
  }

  /** The profile an event ends up with. */
  resolve(identifiers: string, parts: Partial<IdentityRequest> = {}): string {
    return answer(this.request(identifiers, parts)).profileId
  }
}

const answer = (effects: readonly Effect[]) => emitted<Learned>(effects, 'events.raw', 'learned')[0]!.value
const changes = (effects: readonly Effect[]) =>
  emitted<IdentityChange>(effects, 'identity.changes', 'change').map(({ value }) =>
    [value.seq, value.type, ...value.from, '->', value.to, value.namespace].filter((each) => each !== null).join(' '),
  )
const signedIn = (user: string) => ({ sittingUser: `user_id:${hashOf('user_id', user)}` })

const u = (name: string) => profileOf('user_id', name)
const d = (name: string) => profileOf('domain_userid', name)

test('identifiers nobody owns found a profile on the best of them', () => {
  const id = u('u1')
  const [user, cookie] = parse('user_id=u1 domain_userid=d1') as [Identifier, Identifier]
  const named = ({ namespace, hash }: Identifier) => ({ namespace, hash })
  const row: GraphState = { sequence: null, identifier: null, profile: null, edge: null }
  const common = {
    tenant: 'shop',
    to: id,
    from: [],
    eventId: 'e1',
    collectorTstampMs: 10,
    rule: 'unique',
    ruleVersion: 'rules-1',
    effectiveAtMs: 10,
    decidedAtMs: 1000,
    actor: 'graph',
    reverses: null,
  }
  const change = (seq: number, type: IdentityChange['type'], { namespace, hash }: Identifier): Effect =>
    emit('identity.changes', 'change', `shop/${id}`, {
      ...common,
      changeId: uuidV5(`change|shop|c1|e1|1|${seq - 1}`),
      generation: 0,
      seq,
      type,
      namespace,
      valueHash: hash,
    })
  const owned = { owners: [id], firstSeenMs: 10, links: 1 }
  const identified: IdentifiedEvent = {
    tenant: 'shop',
    profileId: id,
    fragment: `user_id:${user.hash}`,
    client: 'c1',
    sittingId: 's1',
    identitySeq: 3,
    hops: 0,
    identifiers: [user, cookie],
    event: eventOf({ event_id: 'e1' }),
  }
  const learned: Learned = {
    tenant: 'shop',
    client: 'c1',
    requestSeq: 1,
    setKey: 'set:user_id=u1 domain_userid=d1',
    sittingId: null,
    profileId: id,
    replaces: null,
    identitySeq: 3,
  }
  expect(new Graph().request('user_id=u1 domain_userid=d1')).toEqual([
    put(`shop/profile:${id}`, {
      ...row,
      profile: {
        createdAtMs: 10,
        survivor: id,
        parent: null,
        rank: 0,
        mergeSeq: null,
        unique: { user_id: user.hash },
        identifiers: [
          { ...named(user), linkedAtMs: 10 },
          { ...named(cookie), linkedAtMs: 10 },
        ],
        merges: 0,
      },
    }),
    put(`shop/id:user_id:${user.hash}`, { ...row, identifier: owned }),
    put(`shop/id:domain_userid:${cookie.hash}`, { ...row, identifier: owned }),
    put(`shop/edge:domain_userid:${cookie.hash}|user_id:${user.hash}`, {
      ...row,
      edge: { firstSeenMs: 10, lastSeenMs: 10, count: 1, eventId: 'e1', source: 'test', ruleVersion: 'rules-1' },
    }),
    put('shop/seq', { ...row, sequence: { seq: 3 } }),
    change(1, 'profile_created', user),
    change(2, 'identifier_linked', user),
    change(3, 'identifier_linked', cookie),
    emit('events.identified', 'event', `shop/${id}`, identified),
    emit('events.raw', 'learned', 'shop/c1', learned),
    count('profiles.created'),
  ])
})

test('what is decided already is answered without a decision', () => {
  const shop = new Graph()
  shop.request('user_id=u1 domain_userid=d1')
  const again = shop.request('user_id=u1 domain_userid=d1')
  expect(again.map(({ effect }) => effect)).toEqual(['put', 'emit', 'emit'])
  expect(again[0]).toMatchObject({ value: { edge: { count: 2, firstSeenMs: 10, lastSeenMs: 20 } } })
  expect(answer(again)).toMatchObject({ profileId: u('u1'), identitySeq: 3 })
})

test('who logs in on a device nobody is known on is the device’s profile', () => {
  const shop = new Graph()
  shop.notice('domain_userid=d1')
  expect(changes(shop.request('user_id=u1 domain_userid=d1'))).toEqual([`3 identifier_linked -> ${d('d1')} user_id`])
})

test('a person on a second device: the profiles become one, the older survives, orders go before the event', () => {
  const shop = new Graph()
  shop.notice('domain_userid=d1', { foundedAtMs: 50 })
  shop.notice('domain_userid=d2', { foundedAtMs: 40 })
  shop.request('user_id=u1 domain_userid=d1')
  const [young, old] = [d('d1'), d('d2')]
  const effects = shop.request('user_id=u1 domain_userid=d2', { eventId: 'login', foundedAtMs: 70 })
  const mergeId = uuidV5('change|shop|c1|login|4|0')
  const order: MergeOrder = {
    tenant: 'shop',
    mergeId,
    from: young,
    to: old,
    identitySeq: 6,
    eventId: 'login',
    effectiveAtMs: 70,
  }
  const alias: IdentityAlias = { tenant: 'shop', profileId: young, mergedInto: old, identitySeq: 6 }
  expect(effects.filter(({ effect }) => effect !== 'put')).toEqual([
    emit(
      'identity.changes',
      'change',
      `shop/${old}`,
      expect.objectContaining({ changeId: mergeId, type: 'profile_merged', from: [young] }),
    ),
    emit('identity.aliases', 'alias', `shop/${young}`, alias),
    emit('events.identified', 'merge', `shop/${young}`, order),
    emit('events.identified', 'merge', `shop/${old}`, order),
    emit('events.identified', 'event', `shop/${old}`, expect.objectContaining({ identitySeq: 6 })),
    emit('events.raw', 'learned', 'shop/c1', expect.objectContaining({ profileId: old, identitySeq: 6 })),
    count('merges'),
  ])
  expect(shop.resolve('domain_userid=d1')).toBe(old)
})

test('profiles of one age: the smaller id survives', () => {
  const shop = new Graph()
  for (const name of ['d1', 'd2', 'd3']) shop.notice(`domain_userid=${name}`, { foundedAtMs: 7 })
  const effects = shop.request('network_userid=n1 domain_userid=d1 domain_userid=d2 domain_userid=d3')
  const ids = [d('d1'), d('d2'), d('d3')].sort()
  expect(emitted<MergeOrder>(effects, 'events.identified', 'merge').map(({ key }) => key)).toEqual([
    `shop/${ids[1]}`,
    `shop/${ids[0]}`,
    `shop/${ids[2]}`,
    `shop/${ids[0]}`,
  ])
})

test('a second person on a device is refused once, and the device is linked to both', () => {
  const shop = new Graph()
  shop.request('user_id=ada domain_userid=d1')
  const effects = shop.request('user_id=bea domain_userid=d1')
  expect(changes(effects)).toEqual([
    `4 profile_created -> ${u('bea')} user_id`,
    `5 identifier_linked -> ${u('bea')} user_id`,
    `6 identifier_linked -> ${u('bea')} domain_userid`,
    `7 merge_refused ${u('ada')} -> ${u('bea')} domain_userid`,
  ])
  expect(effects).toContainEqual(count('merges.refused'))
  expect(changes(shop.request('user_id=bea domain_userid=d1'))).toEqual([])
  expect(shop.resolve('user_id=ada domain_userid=d1')).toBe(u('ada'))
})

test('an e-mail never joins two known people', () => {
  const shop = new Graph()
  shop.request('user_id=ada email=a@x.org')
  shop.request('user_id=bea email=b@x.org')
  expect(shop.resolve('user_id=bea email=a@x.org')).toBe(u('bea'))
  expect(shop.operator.counts.get('merges')).toBeUndefined()
})

/** A device that ada and bea have signed in on. */
function sharedDevice(): Graph {
  const shop = new Graph()
  shop.request('user_id=ada domain_userid=d1', { sittingId: 'before' })
  shop.request('user_id=bea domain_userid=d1', { sittingId: 'before' })
  return shop
}

const ofSitting = (sittingId: string, client = 'c1', generation = 0) =>
  profileOf('sitting', `${client}/${sittingId}`, generation)

test('on a shared device a sitting is its only user’s', () => {
  const effects = sharedDevice().request('domain_userid=d1', { sittingId: 's2', ...signedIn('bea') })
  expect(answer(effects)).toMatchObject({ profileId: u('bea'), sittingId: 's2' })
  expect(changes(effects)).toEqual([])
})

test('on a shared device a sitting without a user is nobody’s, and one profile', () => {
  const shop = sharedDevice()
  const effects = shop.request('domain_userid=d1', { sittingId: 's2' })
  const id = ofSitting('s2')
  expect(changes(effects)).toEqual([`8 profile_created -> ${id} sitting`, `9 identifier_linked -> ${id} sitting`])
  expect(answer(effects)).toMatchObject({ profileId: id, sittingId: 's2' })
  const [identified] = emitted<IdentifiedEvent>(effects, 'events.identified', 'event')
  expect(identified?.value.fragment).toBe(`domain_userid:${hashOf('domain_userid', 'd1')}/s2`)
  expect(shop.resolve('domain_userid=d1', { sittingId: 's2' })).toBe(id)
  expect(shop.resolve('domain_userid=d1', { sittingId: 's3' })).toBe(ofSitting('s3'))
  expect(shop.resolve('domain_userid=d1', { sittingId: 's2', client: 'c2' })).toBe(ofSitting('s2', 'c2'))
})

test('who signs in alone takes the sitting’s anonymous profile along; a second user does not, and takes nothing back', () => {
  const shop = sharedDevice()
  shop.request('domain_userid=d1', { sittingId: 's2' })
  const claim = shop.request('user_id=bea domain_userid=d1', { sittingId: 's2', ...signedIn('bea') })
  expect(changes(claim)).toEqual([`10 profile_merged ${ofSitting('s2')} -> ${u('bea')}`])
  expect(changes(shop.request('user_id=ada domain_userid=d1', { sittingId: 's2' }))).toEqual([])
  expect(shop.resolve('domain_userid=d1', { sittingId: 's2' })).toBe(ofSitting('s2', 'c1', 1))
  expect(shop.resolve('domain_userid=d1', { sittingId: 's2' })).toBe(ofSitting('s2', 'c1', 1))
})

test('a shared device does not hide whose an e-mail is, unless that is shared too', () => {
  const shop = sharedDevice()
  shop.request('user_id=ada email=a@x.org')
  expect(answer(shop.request('email=a@x.org domain_userid=d1'))).toMatchObject({ profileId: u('ada'), sittingId: null })
  shop.request('user_id=bea email=a@x.org')
  const shared = shop.request('email=a@x.org domain_userid=d1', { sittingId: 's2' })
  expect(answer(shared)).toMatchObject({ profileId: ofSitting('s2'), sittingId: 's2' })
  const [identified] = emitted<IdentifiedEvent>(shared, 'events.identified', 'event')
  expect(identified?.value.fragment).toBe(`email:${hashOf('email', 'a@x.org')}/s2`)
})

test('an identifier has a bounded list of owners; who comes after is somebody all the same', () => {
  const shop = new Graph()
  for (let i = 0; i < ownersMax + 3; i++) expect(shop.resolve(`user_id=u${i} domain_userid=d1`)).toBe(u(`u${i}`))
  const { owners } = shop.operator.rows.get(`shop/id:domain_userid:${hashOf('domain_userid', 'd1')}`)!.identifier!
  expect(owners).toEqual(Array.from({ length: ownersMax }, (_, i) => u(`u${i}`)))
  expect(shop.operator.counts.get('identifiers.overshared')).toBe(3)
  expect(shop.operator.counts.get('merges.refused')).toBe(ownersMax - 1)
})

test('a notice founds the profile it tells of, once, and is not answered', () => {
  const shop = new Graph()
  const effects = shop.notice('domain_userid=d1')
  expect(changes(effects)).toEqual([
    `1 profile_created -> ${d('d1')} domain_userid`,
    `2 identifier_linked -> ${d('d1')} domain_userid`,
  ])
  expect(effects.filter((effect) => effect.effect === 'emit' && effect.topic !== 'identity.changes')).toEqual([])
  expect(shop.notice('domain_userid=d1')).toEqual([])
})

test.each([
  ['older', 5, d('d1'), u('u1')],
  ['younger', 500, u('u1'), d('d1')],
])(
  'a notice of a profile %s than the owner of its identifier joins the two, and corrects the client',
  (_, foundedAtMs, to, from) => {
    const shop = new Graph()
    shop.request('user_id=u1 domain_userid=d1')
    const effects = shop.notice('domain_userid=d1', { foundedAtMs, client: 'd1' })
    expect(changes(effects)).toEqual([
      `4 profile_created -> ${d('d1')} domain_userid`,
      `5 profile_merged ${from} -> ${to}`,
    ])
    const learned = emitted<Learned>(effects, 'events.raw', 'learned').map(({ value }) => value)
    expect(learned).toEqual(
      to === d('d1')
        ? []
        : [expect.objectContaining({ client: 'd1', requestSeq: 0, replaces: d('d1'), profileId: to, identitySeq: 5 })],
    )
    expect(shop.resolve('domain_userid=d1')).toBe(to)
  },
)

test('a notice on an identifier that several people share stays a profile of the sitting', () => {
  const shop = sharedDevice()
  const effects = shop.notice('domain_userid=d1', { client: 'd1', sittingId: 's9' })
  expect(changes(effects)).toEqual([
    `8 profile_created -> ${d('d1')} domain_userid`,
    `9 identifier_linked -> ${d('d1')} sitting`,
  ])
  expect(answer(effects)).toMatchObject({ profileId: d('d1'), sittingId: 's9', replaces: null })
  expect(shop.resolve('domain_userid=d1', { client: 'd1', sittingId: 's9' })).toBe(d('d1'))
  expect(shop.resolve('domain_userid=d1', { client: 'd1', sittingId: 's10' })).toBe(ofSitting('s10', 'd1'))
  shop.request('user_id=ada domain_userid=d1', { client: 'd1', sittingId: 's9', ...signedIn('ada') })
  expect(shop.resolve('domain_userid=d1', { client: 'd1', sittingId: 's9', ...signedIn('ada') })).toBe(u('ada'))
})

test('two unique namespaces keep people apart each by itself', () => {
  const [user, ...others] = definitions.identity.namespaces
  const crm = { ...user!, namespace: 'crm_id', priority: 2, from: [] }
  const both = shopDefinitions({ ...definitions.identity, namespaces: [user!, crm, ...others] })
  const operator = new OneOperator(graph, both)
  let seq = 0
  const resolve = (identifiers: string): string => {
    seq++
    const value = { ...request, requestSeq: seq, eventId: `e${seq}`, identifiers: parse(identifiers) }
    return answer(operator.deliver({ kind: 'request', key: 'shop/s0', value }, { clockMs: 1, logTimeMs: 1 })).profileId
  }
  expect(resolve('user_id=u1 crm_id=x')).toBe(u('u1'))
  expect(resolve('user_id=u1 crm_id=y')).toBe(profileOf('user_id', 'u1', 1))
  expect(resolve('user_id=u1 crm_id=y')).toBe(profileOf('user_id', 'u1', 1))
  expect(resolve('crm_id=y domain_userid=d1')).toBe(profileOf('user_id', 'u1', 1))
  expect(resolve('crm_id=z domain_userid=d1')).toBe(profileOf('crm_id', 'z'))
})

const request: IdentityRequest = {
  tenant: 'shop',
  kind: 'resolve',
  client: 'c1',
  requestSeq: 1,
  setKey: 'set',
  sittingId: 's1',
  sittingUser: null,
  identifiers: [],
  foundedAtMs: 0,
  eventId: 'e1',
  collectorTstampMs: 0,
  event: eventOf(),
}
