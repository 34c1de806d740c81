/**
 * A call of the Segment spec (https://segment.com/docs/connections/spec/) as an event. A page becomes a page view; all
 * other calls become self-describing events of the vendor `com.segment`: `identify` with the traits as data, `track` under
 * the name of its event when the tenant has a schema for it (`Order Completed` is `order_completed/jsonschema/1-0-0`) with
 * the properties as data, and else as `track`, `screen`, `group` and `alias` with the call's own members. What the call
 * says of its context is an entity.
 */
import { isTimestampMs, timestampMs } from '../../schemas/timestamp.ts'
import { uuidV5 } from '../ids.ts'
import { type ColumnName, columnOf, setFromJson, uuid } from './columns.ts'
import type { Draft } from './draft.ts'
import type { Findings, Unexpected } from './failure.ts'
import { isObject } from './json.ts'
import { type Checked, type Checker, checkContexts, checkUnstruct } from './self-describing.ts'

export type Call = Readonly<Record<string, unknown>>

const callTypes: ReadonlySet<unknown> = new Set(['identify', 'track', 'page', 'screen', 'group', 'alias'])

/** Left out of the fingerprint: what differs when the same call is sent again. */
export const unfingerprinted: ReadonlySet<string> = new Set(['messageId', 'sentAt', 'receivedAt'])

/** What makes an object no call; texts are cut. */
export function callViolations(call: Call): readonly Unexpected[] {
  const violations: Unexpected[] = []
  const expect = (field: string, expectation: string): void => {
    const text = JSON.stringify(own(call, field)) ?? null
    violations.push({ field, value: text?.slice(0, quotedLengthMax) ?? null, expectation })
  }
  const type = own(call, 'type')
  if (!callTypes.has(type)) expect('type', 'one of identify, track, page, screen, group, alias')
  if (idOf(call, 'userId') === null && idOf(call, 'anonymousId') === null) expect('userId', 'userId or anonymousId')
  if (type === 'track' && textOf(call, 'event') === null) expect('event', 'the name of what happened')
  if (type === 'group' && idOf(call, 'groupId') === null) expect('groupId', 'the id of a group')
  if (type === 'alias' && idOf(call, 'previousId') === null) expect('previousId', 'the id the user had before')
  for (const name of ['context', 'traits', 'properties']) {
    const value = own(call, name)
    if (value !== undefined && value !== null && !isObject(value)) expect(name, 'an object')
  }
  return violations
}

const quotedLengthMax = 256

/** Reads a call in which `callViolations` found nothing into the draft. Answers the self-describing event of all but a page. */
export function readCall(draft: Draft, call: Call, checker: Checker, findings: Findings): Checked | null {
  const context = objectOf(call, 'context')
  const type = own(call, 'type') as string
  readIds(draft, call, findings)
  readTimes(draft, call, findings)
  readContext(draft, call, context, findings)
  const entities: unknown[] = []
  if (Object.keys(context).length > 0) entities.push({ schema: uriOf('context'), data: context })
  const properties = objectOf(call, 'properties')
  if (type === 'page') {
    draft.event = 'page_view'
    set(draft, 'page_url', own(properties, 'url'), findings)
    set(draft, 'page_title', own(properties, 'title'), findings)
    set(draft, 'page_referrer', own(properties, 'referrer'), findings)
    entities.push({ schema: uriOf('page'), data: { ...members(call, ['name', 'category']), properties } })
  } else draft.event = 'unstruct'
  const unstruct = type === 'page' ? null : unstructOf(type, call, properties, checker, findings)
  draft.contexts = checkContexts(entities, checker, findings)
  return unstruct
}

function unstructOf(type: string, call: Call, properties: Call, checker: Checker, findings: Findings): Checked | null {
  switch (type) {
    case 'identify':
      return instanceOf('identify', objectOf(call, 'traits'), checker, findings)
    case 'track': {
      const named = nameOf(own(call, 'event') as string)
      const schema = named === null ? null : checker.book.find(uriOf(named), checker.atMs)
      const isMissing = named === null || (schema !== null && 'failures' in schema)
      if (!isMissing) return instanceOf(named, properties, checker, findings)
      return instanceOf('track', { ...members(call, ['event']), properties }, checker, findings)
    }
    case 'screen':
      return instanceOf('screen', { ...members(call, ['name', 'category']), properties }, checker, findings)
    case 'group':
      return instanceOf('group', { ...members(call, ['groupId']), traits: objectOf(call, 'traits') }, checker, findings)
    default:
      return instanceOf('alias', members(call, ['previousId', 'userId']), checker, findings)
  }
}

const uriOf = (name: string): string => `iglu:com.segment/${name}/jsonschema/1-0-0`

/** `Order Completed` and `orderCompleted` as a schema is named: order_completed. Null when nothing of it can be a name. */
export function nameOf(event: string): string | null {
  const name = event
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
  return name === '' || name.length > 128 ? null : name
}

const instanceOf = (name: string, data: Call, checker: Checker, findings: Findings): Checked | null =>
  checkUnstruct({ schema: uriOf(name), data }, checker, findings)

function readIds(draft: Draft, call: Call, findings: Findings): void {
  set(draft, 'user_id', idOf(call, 'userId'), findings)
  set(draft, 'domain_userid', idOf(call, 'anonymousId'), findings)
  const messageId = idOf(call, 'messageId')
  if (messageId !== null)
    draft.event_id = uuid.test(messageId) ? messageId.toLowerCase() : uuidV5(`segment|${messageId}`)
}

/** Their `timestamp` is our derived_tstamp: the time of receipt less what passed between the call and its being sent. */
function readTimes(draft: Draft, call: Call, findings: Findings): void {
  const made = own(call, 'originalTimestamp') ?? own(call, 'timestamp')
  const sent = own(call, 'sentAt')
  const received = own(call, 'receivedAt')
  set(draft, 'dvce_created_tstamp', made, findings)
  set(draft, 'dvce_sent_tstamp', sent, findings)
  // in an export of theirs
  const receivedMs = typeof received === 'string' ? timestampMs(received) : undefined
  if (receivedMs !== undefined && isTimestampMs(receivedMs)) draft.collector_tstamp = receivedMs
  // a server that says when, and not when it sent it, means it
  if (sent === undefined || sent === null) draft.true_tstamp = draft.dvce_created_tstamp
}

function readContext(draft: Draft, call: Call, context: Call, findings: Findings): void {
  const library = objectOf(context, 'library')
  const libraryName = textOf(library, 'name')
  const page = objectOf(context, 'page')
  const campaign = objectOf(context, 'campaign')
  const screen = objectOf(context, 'screen')
  draft.platform = platformOf(call, context, libraryName)
  draft.name_tracker = 'segment'
  if (libraryName !== null) {
    const version = textOf(library, 'version')
    set(draft, 'v_tracker', version === null ? libraryName : `${libraryName}-${version}`, findings)
  }
  set(draft, 'app_id', own(objectOf(context, 'app'), 'name'), findings)
  set(draft, 'user_ipaddress', own(context, 'ip'), findings)
  set(draft, 'useragent', own(context, 'userAgent'), findings)
  set(draft, 'br_lang', own(context, 'locale'), findings)
  set(draft, 'os_timezone', own(context, 'timezone'), findings)
  set(draft, 'page_url', own(page, 'url'), findings)
  set(draft, 'page_title', own(page, 'title'), findings)
  set(draft, 'page_referrer', own(page, 'referrer'), findings)
  set(draft, 'mkt_campaign', own(campaign, 'name'), findings)
  set(draft, 'mkt_source', own(campaign, 'source'), findings)
  set(draft, 'mkt_medium', own(campaign, 'medium'), findings)
  set(draft, 'mkt_term', own(campaign, 'term'), findings)
  set(draft, 'mkt_content', own(campaign, 'content'), findings)
  for (const [column, name] of screenColumns) {
    const size = own(screen, name)
    if (typeof size === 'number' && Number.isInteger(size)) set(draft, column, size, findings)
  }
}

const screenColumns = [
  ['dvce_screenwidth', 'width'],
  ['dvce_screenheight', 'height'],
] as const

function platformOf(call: Call, context: Call, library: string | null): string {
  const channel = textOf(call, 'channel') ?? textOf(context, 'channel')
  if (channel === 'browser' || channel === 'web') return 'web'
  if (channel === 'mobile') return 'mob'
  if (channel === 'server') return 'srv'
  if (/^analytics(\.js|-next)|javascript/i.test(library ?? '')) return 'web'
  return Object.keys(objectOf(context, 'device')).length > 0 ? 'mob' : 'srv'
}

/** What has no value, or one that no column could hold, is in the entity all the same. */
function set(draft: Draft, name: ColumnName, value: unknown, findings: Findings): void {
  if (typeof value === 'string' || typeof value === 'number') setFromJson(draft, columnOf(name), value, findings)
}

const own = (value: Call, name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined)

const objectOf = (value: Call, name: string): Call => {
  const member = own(value, name)
  return isObject(member) ? member : nothing
}
const nothing: Call = Object.freeze({})

const textOf = (value: Call, name: string): string | null => {
  const text = own(value, name)
  return typeof text === 'string' && text !== '' ? text : null
}

/** Some libraries send the ids of a database as numbers. */
const idOf = (call: Call, name: string): string | null => {
  const id = own(call, name)
  return typeof id === 'number' ? String(id) : textOf(call, name)
}

const members = (call: Call, names: readonly string[]): Call =>
  Object.fromEntries(names.filter((name) => own(call, name) !== undefined).map((name) => [name, own(call, name)]))
