/**
 * The topology of Millrace, as the picture in docs/ARCHITECTURE.md draws it.
 *
 *   events.raw ─► validate ▸ identify ─► events.identified ─► profile ▸ segment ▸ activate ─► connect.<destination>
 *                        │        ▲               ▲
 *                        ▼        └─ learned      │
 *              identity.requests ─► graph ────────┘
 */
import { activate } from '../operators/activate/activate.ts'
import { graph } from '../operators/graph/graph.ts'
import { identify } from '../operators/identify/identify.ts'
import { profile } from '../operators/profile/profile.ts'
import { segment } from '../operators/segment/segment.ts'
import { validate } from '../operators/validate/validate.ts'
import { defineTopology, type TopicDeclaration, type Topology } from '../runtime/topology.ts'

export type Partitions = { readonly identify: number; readonly graph: number; readonly profile: number }

export const embeddedPartitions: Partitions = { identify: 3, graph: 2, profile: 3 }

const dayMs = 24 * 3600 * 1000
const retentionMs = 30 * dayMs

export const connectTopic = (destinationId: string): string => `connect.${destinationId}`

/** The topology for a set of destinations. */
export function customerData(destinations: readonly string[], partitions: Partitions = embeddedPartitions): Topology {
  const connect = destinations.map(
    (id): TopicDeclaration => ({
      name: connectTopic(id),
      partitions: partitions.profile,
      cleanup: 'delete',
      retentionMs,
      key: 'tenant/profileId',
      kinds: { activation: 'Activation' },
    }),
  )
  return defineTopology({
    name: 'customer-data',
    topics: [
      {
        name: 'events.raw',
        partitions: partitions.identify,
        cleanup: 'delete',
        retentionMs,
        key: 'tenant/client',
        kinds: { event: 'RawEvent', learned: 'Learned' },
        source: true,
      },
      {
        name: 'events.bad',
        partitions: partitions.identify,
        cleanup: 'delete',
        retentionMs,
        key: 'tenant/client',
        kinds: { bad: 'BadRow', recovered: 'Replayed' },
      },
      {
        name: 'events.failed',
        partitions: partitions.identify,
        cleanup: 'delete',
        retentionMs,
        key: 'tenant/client',
        kinds: { failed: 'Event' },
      },
      {
        name: 'identity.requests',
        partitions: partitions.graph,
        cleanup: 'delete',
        retentionMs,
        key: 'tenant/shard',
        kinds: { request: 'IdentityRequest', alias: 'AdoptedAlias' },
      },
      {
        name: 'events.identified',
        partitions: partitions.profile,
        cleanup: 'delete',
        retentionMs,
        key: 'tenant/profileId',
        kinds: { event: 'IdentifiedEvent', merge: 'MergeOrder', handover: 'Handover', adoption: 'Adoption' },
      },
      {
        name: 'identity.changes',
        partitions: partitions.graph,
        cleanup: 'delete',
        retentionMs: null,
        key: 'tenant/profileId',
        kinds: { change: 'IdentityChange' },
      },
      {
        name: 'identity.aliases',
        partitions: partitions.profile,
        cleanup: 'compact',
        retentionMs: null,
        key: 'tenant/profileId',
        kinds: { alias: 'IdentityAlias' },
      },
      {
        name: 'profiles',
        partitions: partitions.profile,
        cleanup: 'compact',
        retentionMs: null,
        key: 'tenant/profileId',
        kinds: { profile: 'Profile' },
      },
      {
        name: 'segments.memberships',
        partitions: partitions.profile,
        cleanup: 'delete',
        retentionMs: null,
        key: 'tenant/profileId',
        kinds: { transition: 'MembershipTransition' },
      },
      ...connect,
    ],
    stages: [
      {
        name: 'identify',
        inbox: 'events.raw',
        operators: [validate, identify],
        emits: ['events.bad', 'events.failed', 'identity.requests', 'events.identified'],
      },
      {
        name: 'graph',
        inbox: 'identity.requests',
        operators: [graph],
        emits: ['events.raw', 'events.identified', 'identity.changes', 'identity.aliases'],
      },
      {
        name: 'profile',
        inbox: 'events.identified',
        operators: [profile, segment, activate],
        emits: [
          'events.raw',
          'events.identified',
          'profiles',
          'segments.memberships',
          ...connect.map(({ name }) => name),
        ],
      },
    ],
  })
}
