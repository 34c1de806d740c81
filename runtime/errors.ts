/** Operating errors: what happened, where, and what to do, under a stable code. docs/ERRORS.md is generated from this table. */

/** Every code Millrace can end or answer with, and what a person should do about it. */
export const errorCodes = {
  CONFIG_INVALID: { retryable: false, remedy: 'Mend the file and path that the message names, then start again.' },
  PORT_TAKEN: {
    retryable: false,
    remedy: 'Choose another port with the option for it, or stop the program that holds it.',
  },
  DATA_UNWRITABLE: { retryable: false, remedy: 'Give a folder this user may write, with --data or --out.' },
  DATA_LOCKED: {
    retryable: false,
    remedy: 'Stop the other process that uses this data folder, or choose another with --data.',
  },
  DATA_FOREIGN: {
    retryable: false,
    remedy: 'The folder was made by another version or another program; choose another with --data.',
  },
  DATA_FULL: { retryable: false, remedy: 'Free space on the disk of the data folder, then start again.' },
  TOPIC_UNKNOWN: { retryable: false, remedy: 'See `millrace topology` for the topics there are.' },
  TOPIC_MISMATCH: {
    retryable: false,
    remedy: 'Say the number the topic has; `millrace replay --partitions` builds a new generation with another.',
  },
  OFFSET_OUT_OF_RANGE: {
    retryable: false,
    remedy: 'Retention passed this reader; restore its store from the changelog, or start it from the earliest offset.',
  },
  SCHEMA_UNKNOWN: {
    retryable: false,
    remedy: 'The schema id is not in the registry; check that the record was written by this deployment.',
  },
  SCHEMA_MISSING: {
    retryable: true,
    remedy: 'The schema is being fetched from a registry; what needs it waits. A command is best run again.',
  },
  SCHEMA_UNREGISTERED: {
    retryable: false,
    remedy: 'Run `millrace topics apply` with this version before anything that writes.',
  },
  SCHEMA_INVALID: { retryable: false, remedy: 'The value does not satisfy its schema; this is a bug in the writer.' },
  SCHEMA_INCOMPATIBLE: {
    retryable: false,
    remedy:
      'This version cannot read what an earlier one wrote; run the version that wrote it, or start from a new data folder.',
  },
  REGISTRY_UNAVAILABLE: {
    retryable: true,
    remedy: 'Start the schema registry, or mend its address; what needs it waits, and nothing is dropped.',
  },
  REGISTRY_REFUSED: {
    retryable: false,
    remedy:
      'Give the user and password of the schema registry in its address, and see that it may read and write there.',
  },
  IGLU_UNAVAILABLE: {
    retryable: true,
    remedy:
      'Start the Iglu registry that the message names, or mend its address or key; events whose schema it may have wait, and nothing is dropped.',
  },
  DEFINITION_MISSING: {
    retryable: true,
    remedy: 'A marker names definitions whose body is not in the topic yet; apply the workspace again.',
  },
  RECORD_TOO_LARGE: { retryable: false, remedy: 'No record or stored value may exceed 256 KiB.' },
  CONTROL_FAILED: {
    retryable: false,
    remedy: 'A control record could not be processed; this is a bug, please report it with the log.',
  },
  TOO_MANY_DEAD: {
    retryable: false,
    remedy: 'See what died with `millrace dead list`; once the cause is mended, `millrace dead replay` puts it back.',
  },
  FENCED: { retryable: false, remedy: 'A newer owner has taken the task; this one stops.' },
  GENERATION_ENDED: {
    retryable: false,
    remedy: 'Start the process again: it goes on in the generation that was promoted.',
  },
  STILL_RUNNING: {
    retryable: false,
    remedy: 'Stop the processes that the message names, then run the command again.',
  },
  MEMBERSHIP_LOST: {
    retryable: true,
    remedy: 'The group took this process for dead; it joins again by itself, and is given tasks anew.',
  },
  PROCESS_REPLACED: {
    retryable: false,
    remedy: 'Another process runs under the same id; give each process a state folder of its own.',
  },
  COMMIT_UNKNOWN: {
    retryable: true,
    remedy: 'The outcome of a commit is unknown; the task restores and learns it from the changelog.',
  },
  KAFKA_UNAVAILABLE: {
    retryable: true,
    remedy: 'Check that the brokers run and can be reached from here; work goes on by itself once they answer.',
  },
  KAFKA_REFUSED: {
    retryable: false,
    remedy: 'Check the user, password and certificates given for Kafka, and the rights (ACLs) of that user.',
  },
  DELIVERY_FAILED: {
    retryable: true,
    remedy: 'Nothing is lost: the connector keeps its place. Mend the destination or its settings as the message says.',
  },
  PART_MISSING: {
    retryable: false,
    remedy: 'Install what the message names, or start Docker; docs/OPERATIONS.md has what each part needs.',
  },
  PART_FAILED: {
    retryable: false,
    remedy: 'Mend what the message shows, then run `millrace up` again; it goes on with what does not run yet.',
  },
  REDIS_UNAVAILABLE: {
    retryable: true,
    remedy:
      'Nothing is lost: Redis is caught up once it is back. See that it runs and takes writes, and that --redis or REDIS_URL has its address and password.',
  },
  NOT_FOUND: { retryable: false, remedy: 'Check the id, the namespace:value, or the folder given with --data.' },
  INPUT_INVALID: { retryable: false, remedy: 'Mend the input at the place the message names.' },
} as const

export type ErrorCode = keyof typeof errorCodes

export type ErrorPlace = { task?: string; topic?: string; partition?: number; offset?: number }

/** An operating error. Its message is one clear sentence a person can act on. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly place: ErrorPlace

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; place?: ErrorPlace } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = errorCodes[code].retryable
    this.place = options.place ?? {}
  }
}

/** A belief that did not hold: a bug. In an operator it dead-letters the record; in the runtime it crashes the task. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function invariant(condition: unknown, believed: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${believed}`)
}
