/** IDENTIFY and GRAPH together, over random logs and random interleavings of requests and answers. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eventOf } from '../operators/event/testing.ts'
import { graph } from '../operators/graph/graph.ts'
import { identify } from '../operators/identify/identify.ts'
import { identifierHash, identifierKey, profileIdOf } from '../operators/ids.ts'
import type { Effect } from '../runtime/operator.ts'
import type {
  Event,
  IdentifiedEvent,
  IdentityAlias,
  IdentityChange,
  IdentityRequest,
  Learned,
  MergeOrder,
} from '../schemas/avro/types.ts'
import { shopDefinitions } from './identity-rules.ts'
import { emitted, OneOperator } from './one-operator.ts'

const definitions = shopDefinitions()

/** The two stages and the log between them; what is delivered next is for the schedule to say. */
class Identity {
  readonly identify = new OneOperator(identify, definitions)
  readonly graph = new OneOperator(graph, definitions)
  readonly requests: IdentityRequest[] = []
  readonly events: IdentifiedEvent[] = []
  readonly changes: IdentityChange[] = []
  readonly aliases = new Map<string, IdentityAlias>()
  readonly orders: MergeOrder[] = []
  readonly #input: { readonly client: string; readonly event: Event }[]
  readonly #toGraph: IdentityRequest[] = []
  readonly #toClients: Learned[] = []
  #clockMs = 0

  constructor(input: readonly { readonly client: string; readonly event: Event }[]) {
    this.#input = [...input]
  }

  /** Each number picks among what can happen next; when they run out, all goes on in turn until nothing is left. */
  run(schedule: readonly number[]): this {
    for (let step = 0; ; step++) {
      const steps = [
        ...(this.#input.length > 0 ? [() => this.#event()] : []),
        ...(this.#toGraph.length > 0 ? [() => this.#request()] : []),
        ...(this.#toClients.length > 0 ? [() => this.#answer()] : []),
      ]
      if (steps.length === 0) return this
      steps[(schedule[step] ?? step) % steps.length]!()
    }
  }

  /** Sends one more event, lets all come to rest, and answers the profile it went to. */
  send(client: string, event: Event): string {
    this.#input.push({ client, event })
    this.run([])
    return this.events.find((each) => each.event === event)!.profileId
  }

  /** The profile that one has become. */
  now(profileId: string): string {
    const alias = this.aliases.get(profileId)
    return alias ? this.now(alias.mergedInto) : profileId
  }

  #event(): void {
    const { client, event } = this.#input.shift()!
    this.#clockMs++
    this.#take(this.identify.deliver({ kind: 'event', key: `shop/${client}`, value: event }, this.#clock()))
  }

  #request(): void {
    const value = this.#toGraph.shift()!
    this.requests.push(value)
    this.#take(this.graph.deliver({ kind: 'request', key: 'shop/s0', value }, this.#clock()))
  }

  #answer(): void {
    const value = this.#toClients.shift()!
    this.#take(this.identify.deliver({ kind: 'learned', key: `shop/${value.client}`, value }, this.#clock()))
  }

  #clock() {
    return { clockMs: this.#clockMs, logTimeMs: this.#clockMs }
  }

  #take(effects: readonly Effect[]): void {
    const values = <Value>(topic: string, kind: string) =>
      emitted<Value>(effects, topic, kind).map(({ value }) => value)
    this.#toGraph.push(...values<IdentityRequest>('identity.requests', 'request'))
    this.#toClients.push(...values<Learned>('events.raw', 'learned'))
    this.events.push(...values<IdentifiedEvent>('events.identified', 'event'))
    this.orders.push(...values<MergeOrder>('events.identified', 'merge'))
    this.changes.push(...values<IdentityChange>('identity.changes', 'change'))
    for (const alias of values<IdentityAlias>('identity.aliases', 'alias')) {
      expect(this.aliases.has(alias.profileId)).toBe(false)
      this.aliases.set(alias.profileId, alias)
    }
  }
}

type Visit = {
  readonly client: number
  readonly user: number | null
  readonly email: number | null
  readonly second: number | null
  readonly afterMin: number
  readonly lateMin: number
  readonly again: boolean
}

const some = (max: number, weight: number) =>
  fc.oneof({ weight, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat({ max }) })

const visits = (parts: { users: fc.Arbitrary<number | null>; emails: fc.Arbitrary<number | null> }) =>
  fc.array(
    fc.record<Visit>({
      client: fc.nat({ max: 3 }),
      user: parts.users,
      email: parts.emails,
      second: some(2, 5),
      afterMin: fc.constantFrom(0, 1, 5, 40),
      lateMin: fc.constantFrom(0, 0, 0, 20, 90),
      again: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 40 },
  )

const schedules = fc.array(fc.nat({ max: 5 }), { maxLength: 120 })

/** The log of the visits. `again` sends an event twice. */
function logOf(list: readonly Visit[]) {
  let minutes = 1000
  return list.flatMap(({ client, user, email, second, afterMin, lateMin, again }, i) => {
    minutes += afterMin
    const event = eventOf({
      event_id: `e${i}`,
      event_fingerprint: `f${i}`,
      collector_tstamp: minutes * 60_000,
      derived_tstamp: (minutes - lateMin) * 60_000,
      domain_userid: `d${client}`,
      network_userid: second === null ? null : `n${second}`,
      user_id: user === null ? null : `u${user}`,
      data: email === null ? {} : { email: `p${email}@example.com` },
    })
    const sent = { client: `d${client}`, event }
    return again ? [sent, sent] : [sent]
  })
}

const anyVisits = visits({ users: some(2, 2), emails: some(2, 4) })

test('every event goes on once, and the record of decisions is whole', () => {
  fc.assert(
    fc.property(anyVisits, schedules, (list, schedule) => {
      const log = logOf(list)
      const run = new Identity(log).run(schedule)
      const ids = run.events.map(({ event }) => event.event_id)
      expect(ids.sort()).toEqual(list.map((_, i) => `e${i}`).sort())
      expect(run.identify.counts.get('accepted')).toBe(list.length)
      expect(run.identify.counts.get('duplicates') ?? 0).toBe(log.length - list.length)

      expect(run.changes.map(({ seq }) => seq)).toEqual(run.changes.map((_, i) => i + 1))
      expect(new Set(run.changes.map(({ changeId }) => changeId)).size).toBe(run.changes.length)
      const merged = run.changes.filter(({ type }) => type === 'profile_merged')
      expect(run.aliases.size).toBe(merged.length)
      expect(run.orders.map(({ mergeId }) => mergeId)).toEqual(merged.flatMap(({ changeId }) => [changeId, changeId]))
      for (const client of run.identify.rows.values()) {
        expect(client.client!.answeredSeq).toBe(client.client!.requestSeq)
      }
    }),
    { numRuns: 300 },
  )
})

test('a profile is founded once, survives only younger ones, and changes of it come while it lives', () => {
  fc.assert(
    fc.property(anyVisits, schedules, (list, schedule) => {
      const run = new Identity(logOf(list)).run(schedule)
      const createdAtMs = new Map<string, number>()
      const gone = new Set<string>()
      for (const { type, from, to, effectiveAtMs } of run.changes) {
        if (type === 'profile_created') {
          expect(createdAtMs.has(to)).toBe(false)
          createdAtMs.set(to, effectiveAtMs)
        }
        for (const id of [...from, to]) expect(createdAtMs.has(id) && !gone.has(id)).toBe(true)
        if (type !== 'profile_merged') continue
        const [loser] = from as [string]
        const [older, younger] = [createdAtMs.get(to)!, createdAtMs.get(loser)!]
        expect(older < younger || (older === younger && to < loser)).toBe(true)
        gone.add(loser)
      }
      for (const { profileId } of run.events) expect(createdAtMs.has(profileId)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('a user has one profile, and a profile one user', () => {
  fc.assert(
    fc.property(anyVisits, schedules, (list, schedule) => {
      const run = new Identity(logOf(list)).run(schedule)
      const profileOf = new Map<string, string>()
      const userOf = new Map<string, string>()
      for (const { profileId, event } of run.events) {
        if (event.user_id === null) continue
        const now = run.now(profileId)
        expect(profileOf.get(event.user_id) ?? now).toBe(now)
        expect(userOf.get(now) ?? event.user_id).toBe(event.user_id)
        profileOf.set(event.user_id, now)
        userOf.set(now, event.user_id)
      }
    }),
    { numRuns: 300 },
  )
})

test('the owners of every identifier are those of a plain fold of the requests', () => {
  fc.assert(
    fc.property(anyVisits, schedules, (list, schedule) => {
      const run = new Identity(logOf(list)).run(schedule)
      const fold = new PlainFold()
      for (const request of run.requests) fold.decide(request)
      const actual = new Map<string, readonly string[]>()
      for (const [key, { identifier }] of run.graph.rows) {
        if (!identifier || key.startsWith('shop/id:sitting:')) continue
        actual.set(
          key.slice('shop/id:'.length),
          identifier.owners.map((owner) => run.now(survivorOf(run, owner))).sort(),
        )
      }
      expect(actual).toEqual(fold.owners())
    }),
    { numRuns: 300 },
  )
})

test('where no device is shared, profiles are the connected components of identifiers, whatever the order of delivery', () => {
  // Devices 0 and 1, user 0 and e-mail 0 are one person's; 2 and 3, 1 and 1 the other's.
  const honest = visits({ users: some(0, 3), emails: some(0, 4) }).map((list) =>
    list.map((visit): Visit => {
      const person = visit.client >> 1
      const as = (value: number | null) => (value === null ? null : person)
      return { ...visit, user: as(visit.user), email: as(visit.email), second: as(visit.second) }
    }),
  )
  fc.assert(
    fc.property(honest, schedules, (list, schedule) => {
      const log = logOf(list)
      const run = new Identity(log).run(schedule)
      const components = componentsOf(run.events.map(({ identifiers }) => identifiers.map(identifierKey)))
      const byComponent = new Map<string, Set<string>>()
      for (const { profileId, identifiers } of run.events) {
        const component = components(identifierKey(identifiers[0]!))
        byComponent.set(component, (byComponent.get(component) ?? new Set()).add(run.now(profileId)))
      }
      const profiles = [...byComponent.values()].flatMap((ids) => [...ids])
      expect([...byComponent.values()].every((ids) => ids.size === 1)).toBe(true)
      expect(new Set(profiles).size).toBe(byComponent.size)
      expect(run.changes.filter(({ type }) => type === 'merge_refused')).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('on a device that several have signed in on, a sitting is nobody’s until one of them alone signs in, and then all of it is theirs', () => {
  fc.assert(
    fc.property(anyVisits, schedules, (list, schedule) => {
      const log = logOf(list)
      const run = new Identity(log).run(schedule)
      for (const client of ['d0', 'd1', 'd2', 'd3']) {
        const users = new Set(log.flatMap((each) => (each.client === client ? (each.event.user_id ?? []) : [])))
        if (users.size < 2) continue
        const [user, other] = [...users] as [string, string]
        const later = (name: string, user_id: string | null) =>
          eventOf({ event_id: `${client} ${name}`, collector_tstamp: 1e9, domain_userid: client, user_id })
        const before = run.send(client, later('before', null))
        expect(known(run, before)).toBe(false)
        expect(run.send(client, later('before too', null))).toBe(before)
        const profile = run.now(run.send(client, later('sign-in', user)))
        expect(known(run, profile)).toBe(true)
        expect(run.now(before)).toBe(profile)
        expect(run.now(run.send(client, later('after', null)))).toBe(profile)

        expect(run.now(run.send(client, later('second', other)))).not.toBe(profile)
        const revoked = run.send(client, later('at last', null))
        expect(known(run, run.now(revoked))).toBe(false)
        expect(run.now(run.send(client, later('sign-in again', user)))).toBe(profile)
        expect(run.send(client, later('at the very last', null))).toBe(revoked)
      }
    }),
    { numRuns: 200 },
  )
})

/** Whether somebody has signed in as the profile. */
function known(run: Identity, profileId: string): boolean {
  const nodes = [...run.graph.rows.values()].flatMap(({ profile }) => (profile?.parent === null ? [profile] : []))
  const node = nodes.find(({ survivor }) => survivor === run.now(profileId))
  return Object.keys(node!.unique).length > 0
}

function survivorOf(run: Identity, nodeId: string): string {
  const node = run.graph.rows.get(`shop/profile:${nodeId}`)?.profile
  return node?.parent ? survivorOf(run, node.parent) : (node?.survivor ?? nodeId)
}

function componentsOf(sets: readonly (readonly string[])[]): (key: string) => string {
  const parents = new Map<string, string>()
  const find = (key: string): string => {
    const parent = parents.get(key) ?? key
    return parent === key ? key : find(parent)
  }
  for (const [first, ...rest] of sets) for (const key of rest) parents.set(find(key), find(first!))
  return find
}

type Person = { readonly id: string; readonly createdAtMs: number; readonly user: string | null }

/** The rules said over, on flat lists: merging two people rewrites every list that has them. Sittings are their own. */
class PlainFold {
  #people = new Map<string, Person>()
  #owners = new Map<string, string[]>()

  owners(): Map<string, readonly string[]> {
    const lists = [...this.#owners].filter(([key]) => !key.startsWith('sitting '))
    return new Map(lists.map(([key, ids]) => [key, [...ids].sort()]))
  }

  decide(request: IdentityRequest): void {
    const keys = request.identifiers.map(identifierKey)
    const user = keys.find((key) => key.startsWith('user_id:')) ?? null
    const sitting = `sitting ${request.client} ${request.sittingId}`
    const best = request.identifiers[0]!
    const candidates = this.#all(keys)
    const known = candidates.filter((person) => person.user !== null)

    if (request.kind === 'notice') {
      const id = profileIdOf(definitions, best.namespace, best.hash)
      const seen = this.#everyone(id)
      if (known.length > 1) {
        if (!seen) this.#ownSitting(sitting, this.#found(id, request, null))
        return
      }
      const self = seen ?? this.#found(id, request, null)
      this.#link(keys, this.#merge([self, ...candidates]))
    } else if (user !== null) {
      const claimed = request.sittingUser === user ? this.#all([sitting]) : []
      const same = [...candidates, ...claimed].filter((person) => person.user === null || person.user === user)
      const person = same.length > 0 ? this.#merge(same) : this.#found(this.#fresh(best), request, user)
      this.#people.set(person.id, { ...person, user })
      for (const key of keys) if (!this.#owners.get(key)?.includes(person.id)) this.#own(key, person)
    } else if (known.length < 2) {
      const person = candidates.length > 0 ? this.#merge(candidates) : this.#found(this.#fresh(best), request, null)
      this.#link(keys, person)
    } else {
      const named = this.#all(keys.filter((key) => key.startsWith('email:'))).filter((person) => person.user !== null)
      const anonymous = this.#all([sitting]).filter((person) => person.user === null)
      const users = [...this.#people.values()].filter(
        (person) => person.user !== null && person.user === request.sittingUser,
      )
      const mine = [...users, ...anonymous]
      const whose = named.length === 1 ? named : mine
      this.#link(keys, whose.length > 0 ? this.#merge(whose) : this.#foundForSitting(sitting, request))
    }
  }

  /** Those who own any of the keys, each once. */
  #all(keys: readonly string[]): Person[] {
    const ids = new Set(keys.flatMap((key) => this.#owners.get(key) ?? []))
    return [...ids].map((id) => this.#people.get(id)!)
  }

  /** Profiles that were merged are nobody's own any more, but the one they went into stands for them. */
  #became = new Map<string, string>()
  #everyone(id: string): Person | undefined {
    const next = this.#became.get(id)
    return next === undefined ? this.#people.get(id) : this.#everyone(next)
  }

  #fresh({ namespace, hash }: { readonly namespace: string; readonly hash: string }): string {
    return profileIdOf(definitions, namespace, hash)
  }

  #found(id: string, { foundedAtMs }: IdentityRequest, user: string | null): Person {
    const person = { id, createdAtMs: foundedAtMs, user }
    this.#people.set(id, person)
    return person
  }

  #sittingLinks = new Map<string, number>()

  #ownSitting(sitting: string, person: Person): void {
    this.#sittingLinks.set(sitting, (this.#sittingLinks.get(sitting) ?? 0) + 1)
    this.#own(sitting, person)
  }

  #foundForSitting(sitting: string, request: IdentityRequest): Person {
    const hash = identifierHash(definitions, 'sitting', `${request.client}/${request.sittingId}`)
    const first = profileIdOf(definitions, 'sitting', hash)
    const id = this.#everyone(first)
      ? profileIdOf(definitions, 'sitting', hash, this.#sittingLinks.get(sitting))
      : first
    const person = this.#found(id, request, null)
    this.#ownSitting(sitting, person)
    return person
  }

  #own(key: string, { id }: Person): void {
    this.#owners.set(key, [...(this.#owners.get(key) ?? []), id])
  }

  /** Links identifiers that nobody owns. */
  #link(keys: readonly string[], person: Person): void {
    for (const key of keys) if (!this.#owners.has(key)) this.#own(key, person)
  }

  #merge(people: readonly Person[]): Person {
    const ids = new Set(people.map(({ id }) => id))
    const [oldest] = [...people].sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1)) as [Person]
    const survivor = { ...oldest, user: people.find(({ user }) => user !== null)?.user ?? null }
    for (const id of ids) {
      if (id === survivor.id) continue
      this.#people.delete(id)
      this.#became.set(id, survivor.id)
    }
    this.#people.set(survivor.id, survivor)
    for (const [key, owners] of this.#owners) {
      this.#owners.set(key, [...new Set(owners.map((id) => (ids.has(id) ? survivor.id : id)))])
    }
    return survivor
  }
}
