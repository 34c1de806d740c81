/** The group coordinators of a Kafka cluster, asked directly: the group protocol without the consumer of kafkajs. */
import { type Coordinator, type Given, GroupFault, type Joined, type JoinRequest, type Seat } from '../coordinator.ts'
import { MillraceError } from '../errors.ts'
import type { Apis } from './apis.ts'
import type { KafkaConnection } from './connection.ts'
import { asMillraceError, codes, KafkaFault, requireNoFault } from './faults.ts'

/** Named for the bytes in it: members that would not understand each other are not in one group. */
const protocolName = 'millrace.1'

/** The consumer protocol is kept to as far as tools look: `kafka-consumer-groups --describe` shows who reads what. */
const protocolType = 'consumer'

export class KafkaCoordinator implements Coordinator {
  readonly #connection: KafkaConnection
  readonly #topicPrefix: string

  /** `topicPrefix` is that of the log: tools know topics by their full names. */
  constructor(connection: KafkaConnection, topicPrefix = '') {
    this.#connection = connection
    this.#topicPrefix = topicPrefix
  }

  async join({ group, memberId, instance, topic, state, ...timeouts }: JoinRequest): Promise<Joined> {
    const answer = await this.#ask(group, 'JoinGroup', {
      groupId: group,
      memberId,
      groupInstanceId: instance,
      sessionTimeout: timeouts.sessionTimeoutMs,
      rebalanceTimeout: timeouts.rebalanceTimeoutMs,
      protocolType,
      groupProtocols: [{ name: protocolName, metadata: subscription(this.#topicPrefix + topic, state) }],
    })
    const leads = answer.leaderId === answer.memberId
    const members = answer.members.map(({ memberId, memberMetadata }) => ({
      memberId,
      state: ofSubscription(memberMetadata),
    }))
    return { memberId: answer.memberId, generation: answer.generationId, members: leads ? members : null }
  }

  async sync({ group, memberId, instance, generation }: Seat, topic: string, given: readonly Given[]): Promise<Buffer> {
    const answer = await this.#ask(group, 'SyncGroup', {
      groupId: group,
      generationId: generation,
      memberId,
      groupInstanceId: instance,
      groupAssignment: given.map(({ memberId, partitions, bytes }) => ({
        memberId,
        memberAssignment: assignment(this.#topicPrefix + topic, partitions, bytes),
      })),
    })
    return ofAssignment(answer.memberAssignment)
  }

  async heartbeat({ group, memberId, instance, generation }: Seat): Promise<void> {
    const place = { groupId: group, groupGenerationId: generation, memberId, groupInstanceId: instance }
    await this.#ask(group, 'Heartbeat', place)
  }

  async show(
    { group, memberId, generation }: Seat,
    topic: string,
    positions: ReadonlyMap<number, number>,
  ): Promise<void> {
    const partitions = [...positions].map(([partition, offset]) => ({ partition, offset }))
    const topics = [{ topic: this.#topicPrefix + topic, partitions }]
    const request = { groupId: group, groupGenerationId: generation, memberId, topics }
    const { responses } = await this.#send(group, 'OffsetCommit', request)
    const refused = responses.flatMap(({ partitions }) => partitions).find(({ errorCode }) => errorCode !== 0)
    if (refused) throw this.#translated(new KafkaFault('OffsetCommit', refused.errorCode), group)
  }

  async leave({ group, memberId, instance }: Seat): Promise<void> {
    await this.#ask(group, 'LeaveGroup', { groupId: group, memberId, groupInstanceId: instance })
  }

  /** The addresses of a group's members, those included that keep their place for a restart. */
  async members(group: string): Promise<readonly string[]> {
    const groups = await this.#connection.retrying(`cannot look at the group ${group}`, {}, async () => {
      const coordinator = await this.#connection.coordinatorOf('group', group)
      const { groups } = await coordinator.send('DescribeGroups', { groupIds: [group] })
      for (const { errorCode } of groups) requireNoFault('DescribeGroups', errorCode)
      return groups
    })
    return groups.flatMap(({ members }) => members.map(({ clientHost }) => clientHost.replace(/^\//, '')))
  }

  async #ask<Api extends 'JoinGroup' | 'SyncGroup' | 'Heartbeat' | 'LeaveGroup'>(
    group: string,
    api: Api,
    request: Apis[Api]['request'],
  ): Promise<Apis[Api]['response']> {
    const answer = await this.#send(group, api, request)
    if (answer.errorCode !== 0) throw this.#translated(new KafkaFault(api, answer.errorCode), group)
    return answer
  }

  async #send<Api extends keyof Apis>(
    group: string,
    api: Api,
    request: Apis[Api]['request'],
  ): Promise<Apis[Api]['response']> {
    try {
      const coordinator = await this.#connection.coordinatorOf('group', group)
      return await coordinator.send(api, request)
    } catch (error) {
      throw this.#translated(error, group)
    }
  }

  /** No retries here: who waits, and how long, is for the membership to say. */
  #translated(error: unknown, group: string): unknown {
    switch (error instanceof KafkaFault ? error.code : undefined) {
      case codes.rebalanceInProgress:
      case codes.illegalGeneration:
        return new GroupFault('rebalancing', group)
      case codes.unknownMemberId:
        return new GroupFault('unknown', group)
      case codes.fencedInstanceId:
        return new GroupFault('replaced', group)
      case inconsistentGroupProtocol:
        return new MillraceError('CONFIG_INVALID', `the group ${group} is in use by other programs`, { cause: error })
    }
    this.#connection.forget()
    return asMillraceError(error, `group ${group}`)
  }
}

const inconsistentGroupProtocol = 23

/** version, topics, user data: ConsumerProtocolSubscription version 0. */
function subscription(topic: string, userData: Buffer): Buffer {
  return Buffer.concat([int16(0), int32(1), text(topic), int32(userData.length), userData])
}

/** version, partitions by topic, user data: ConsumerProtocolAssignment version 0. */
function assignment(topic: string, partitions: readonly number[], userData: Buffer): Buffer {
  const list = [int32(partitions.length), ...partitions.map(int32)]
  return Buffer.concat([int16(0), int32(1), text(topic), ...list, int32(userData.length), userData])
}

function ofSubscription(bytes: Buffer): Buffer {
  return bytes.subarray(topicEnd(bytes) + 4)
}

function ofAssignment(bytes: Buffer): Buffer {
  const partitions = bytes.readInt32BE(topicEnd(bytes))
  return bytes.subarray(topicEnd(bytes) + 4 + 4 * partitions + 4)
}

/** Where the one topic ends, after the version, the count of topics and the length of its name. */
const topicEnd = (bytes: Buffer): number => 8 + bytes.readInt16BE(6)

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}
