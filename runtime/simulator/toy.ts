/**
 * A topology with all that the runtime offers, for its simulators: an operator without state, needs in rounds, timers that
 * set timers, a cycle back into the source, a compacted topic, records that fail.
 *
 *   in ─► filter ▸ tally ─► mid ─► echo ─► out
 *    ▲                 └─► latest   └─ learned ─► in
 */
import type { IdentityAlias, SeenEventState } from '../../schemas/avro/types.ts'
import { count, emit, emitLatest, type Inbound, type Operator, pass, put, remove, schedule } from '../operator.ts'
import { defineTopology, type Topology } from '../topology.ts'

const filter: Operator<Inbound<string, IdentityAlias>, never, undefined> = {
  name: 'filter',
  state: null,
  process({ kind, key, value }) {
    if (value.mergedInto === 'fails early') throw new Error('early')
    return [count('seen'), pass(kind, key, value)]
  },
}

const tally: Operator<Inbound, SeenEventState, undefined> = {
  name: 'tally',
  state: 'SeenEventState',
  needs({ kind, value }, known) {
    if (kind !== 'event') return []
    const { tenant, mergedInto } = value as IdentityAlias
    const next = known.state(`${tenant}/${mergedInto}`)?.fingerprint
    return next ? [`${tenant}/${mergedInto}`, `${tenant}/${next}`] : [`${tenant}/${mergedInto}`]
  },
  process({ kind, key, value }, { state, clockMs, offset }) {
    if (kind === 'timer') {
      const { id, atMs } = value as { id: string; atMs: number }
      if (id === 'fails') throw new Error('timer')
      const quiet = emit('mid', 'event', key, alias(key, 'quiet', atMs))
      return id === 'first' ? [quiet, schedule(key, 'second', clockMs + 500)] : [quiet, remove(key)]
    }
    const event = value as IdentityAlias
    if (kind === 'learned') return [put(key, { fingerprint: event.mergedInto, atMs: state(key)?.atMs ?? 0 })]
    if (event.mergedInto === 'fails late') throw new Error('late')
    const other = `${event.tenant}/${event.mergedInto}`
    const seen = (state(key)?.atMs ?? 0) + 1
    return [
      put(key, { fingerprint: event.mergedInto, atMs: seen }),
      put(other, { fingerprint: state(other)?.fingerprint ?? '', atMs: (state(other)?.atMs ?? 0) + 100 }),
      schedule(key, 'first', clockMs + 1000),
      schedule(other, 'fails', event.identitySeq % 3 === 0 ? clockMs + 1500 : null),
      emit('mid', 'event', `${event.tenant}/p${seen % 5}`, alias(key, event.mergedInto, clockMs)),
      emitLatest('latest', 'event', key, () => alias(key, String(offset), seen)),
    ]
  },
}

const echo: Operator<Inbound<string, IdentityAlias>, SeenEventState, undefined> = {
  name: 'echo',
  state: 'SeenEventState',
  process({ kind, key, value }, { state, clockMs }) {
    if (kind === 'timer') return [emit('out', 'event', key, alias(key, 'exit', clockMs)), remove(key)]
    const seen = (state(key)?.atMs ?? 0) + 1
    const learned =
      seen % 4 === 0 ? [emit('in', 'learned', value.profileId, alias(value.profileId, 'x9', clockMs))] : []
    return [
      put(key, { fingerprint: '', atMs: seen }),
      schedule(key, 'quiet', clockMs + 700),
      emit('out', 'event', key, value),
      ...learned,
    ]
  },
}

export function alias(key: string, mergedInto: string, identitySeq: number): IdentityAlias {
  return { tenant: key.slice(0, key.indexOf('/')), profileId: key, mergedInto, identitySeq }
}

const topic = (name: string, partitions: number, cleanup: 'delete' | 'compact' = 'delete') => ({
  name,
  partitions,
  cleanup,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { event: 'IdentityAlias', learned: 'IdentityAlias' } as const,
})

/** The inbox of the first stage is `in`, that of the second `mid`. */
export function toyTopology(partitions: { readonly first: number; readonly second: number }): Topology {
  const { first, second } = partitions
  return defineTopology({
    name: 'toy',
    topics: [
      { ...topic('in', first), source: true },
      topic('mid', second),
      topic('out', 2),
      topic('latest', 2, 'compact'),
    ],
    stages: [
      { name: 'first', inbox: 'in', operators: [filter, tally], emits: ['mid', 'latest'] },
      { name: 'second', inbox: 'mid', operators: [echo], emits: ['out', 'in'] },
    ],
  })
}
