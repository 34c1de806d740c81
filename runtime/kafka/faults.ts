/** What can go wrong between us and Kafka, told apart by what is to be done about it. */
import protocol from 'kafkajs/src/protocol/error.js'
import { type ErrorCode, type ErrorPlace, MillraceError } from '../errors.ts'
import { unknownPartition } from '../log-checks.ts'

/** The error codes of the protocol that we tell apart, by the names of Kafka's own table. */
export const codes = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  messageTooLarge: 10,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAlreadyExists: 36,
  invalidProducerEpoch: 47,
  concurrentTransactions: 51,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  producerFenced: 90,
} as const

/** A broker's refusal: the code it answered a request with. */
export class KafkaFault extends Error {
  override readonly name = 'KafkaFault'
  readonly code: number

  constructor(api: string, code: number) {
    super(`Kafka answered ${api} with error code ${code}${nameOf(code)}`)
    this.code = code
  }
}

/** The connection broke, or no answer came in time: whether the request was carried out is not known. */
export class ConnectionFault extends Error {
  override readonly name = 'ConnectionFault'
}

/** Broker and client do not come to trust each other. */
export class TlsFault extends Error {
  override readonly name = 'TlsFault'
}

/** Throws for every code but 0. */
export function requireNoFault(api: string, code: number): void {
  if (code !== 0) throw new KafkaFault(api, code)
}

/**
 * How long it makes sense to try again: for ever when leaders and coordinators move and brokers restart, a moment when
 * a topic may just not have reached that broker yet, else not at all.
 */
export function patienceMs(error: unknown): number {
  if (error instanceof ConnectionFault) return Number.POSITIVE_INFINITY
  if (!(error instanceof KafkaFault)) return 0
  if (error.code === codes.unknownTopicOrPartition) return 400
  return passing.has(error.code) ? Number.POSITIVE_INFINITY : 0
}

/** The error as the runtime knows it, unless it is no error of Kafka's. `what` failed, as the beginning of a sentence. */
export function asMillraceError(error: unknown, what: string, place: ErrorPlace = {}): unknown {
  if (!(error instanceof Error) || !/^(KafkaFault|ConnectionFault|TlsFault|KafkaJS)/.test(error.name)) return error
  const code = error instanceof KafkaFault ? error.code : undefined
  if (code === codes.unknownTopicOrPartition && place.topic !== undefined)
    return unknownPartition(place.topic, place.partition ?? 0)
  return new MillraceError(errorCodeOf(error), `${what}: ${error.message}`, { cause: error, place })
}

export function errorCodeOf(error: Error): ErrorCode {
  if (error instanceof TlsFault || error.name === 'KafkaJSSASLAuthenticationError') return 'KAFKA_REFUSED'
  if (!(error instanceof KafkaFault)) return 'KAFKA_UNAVAILABLE'
  switch (error.code) {
    case codes.invalidProducerEpoch:
    case codes.producerFenced:
      return 'FENCED'
    case codes.offsetOutOfRange:
      return 'OFFSET_OUT_OF_RANGE'
    case codes.unknownTopicOrPartition:
      return 'TOPIC_UNKNOWN'
    case codes.messageTooLarge:
    case codes.recordListTooLarge:
      return 'RECORD_TOO_LARGE'
    default:
      return refused.has(error.code) ? 'KAFKA_REFUSED' : 'KAFKA_UNAVAILABLE'
  }
}

/** Leaders, coordinators and replicas that are moving or starting. */
const passing: ReadonlySet<number> = new Set([
  5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 60, 72, 74, 75, 78, 80, 88, 89, 106,
])
/** No rights, wrong credentials, requests and versions that the broker will never take. */
const refused: ReadonlySet<number> = new Set([
  17, 29, 30, 31, 32, 33, 34, 35, 37, 38, 40, 42, 44, 50, 53, 54, 58, 65, 76, 87,
])

function nameOf(code: number): string {
  if (code === codes.producerFenced) return ' (PRODUCER_FENCED)' // later than kafkajs's table
  const known = protocol.errorCodes.find((each) => each.code === code)
  return known ? ` (${known.type})` : ''
}
