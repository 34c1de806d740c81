/**
 * Definitions: everything a tenant decides, as versioned data. Authors write YAML in a workspace; `workspace/` checks it
 * and makes these; they travel on the topic `definitions`; operators compile what they need of them.
 * All of it is plain JSON but for `tenantKey`, which never leaves the process.
 */

export type Definitions = {
  readonly tenant: string
  readonly version: number
  /** Of the manifest: names this exact set of definitions. */
  readonly hash: string
  /** Secret key of the tenant: keys profile ids and identifier hashes. Comes from the environment, never from the log. */
  readonly tenantKey: Uint8Array
  /** JSON Schema texts by schema key `iglu:vendor/name/format/M-R-A`. */
  readonly schemas: ReadonlyMap<string, string>
  readonly identity: IdentityRules
  readonly traits: readonly TraitDefinition[]
  readonly segments: readonly SegmentDefinition[]
  readonly destinations: readonly DestinationDefinition[]
  readonly consent: ConsentRules
}

// --- identity ---

export type IdentifierClass = 'person' | 'device' | 'cookie'

export type NamespaceRule = {
  readonly namespace: string
  readonly class: IdentifierClass
  /** 1 is the best. A cookie never outranks a device, nor a device a person. */
  readonly priority: number
  /** At most one value a profile. */
  readonly unique: boolean
  readonly normalise: 'trim' | 'trim_lower' | 'e164'
  /** Where the value stands in an event; the first that is set is taken. */
  readonly from: readonly ValuePath[]
}

export type IdentityRules = {
  /** Best first. */
  readonly namespaces: readonly NamespaceRule[]
  /** Values that are nobody's, compared after normalising, whole and without regard to case; on top of the built-in list. */
  readonly blocked: readonly string[]
  /** Digest of these rules: an identifier set decided under another version is decided again. */
  readonly ruleVersion: string
}

/**
 * A place in an event: an atomic column (`user_id`), a field of the self-describing event (`event.email`), or a field
 * of an entity (`product.category`, the entity by its schema name). Dots go down into objects.
 */
export type ValuePath =
  | { readonly in: 'column'; readonly name: string }
  | { readonly in: 'event'; readonly path: readonly string[] }
  | { readonly in: 'entity'; readonly entity: string; readonly path: readonly string[] }

// --- conditions on one event ---

export type Literal = string | number | boolean
export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/** A condition on one event. A path that is not there compares false (also under !=). Any entity of the name may satisfy it. */
export type EventCondition =
  | { readonly op: 'and' | 'or'; readonly of: readonly EventCondition[] }
  | { readonly op: 'not'; readonly of: EventCondition }
  | { readonly op: 'compare'; readonly path: ValuePath; readonly comparison: Comparison; readonly value: Literal }
  | { readonly op: 'in'; readonly path: ValuePath; readonly values: readonly Literal[] }
  | { readonly op: 'has'; readonly path: ValuePath }

/** Events by name (`event_name`; null: every event) that satisfy a condition. */
export type EventMatch = { readonly event: string | null; readonly where: EventCondition | null }

// --- traits ---

export type TraitType = 'string' | 'number' | 'decimal' | 'boolean' | 'timestamp' | 'list'

/** A field learned from events (a policy picks among values), or a number computed from them. */
export type TraitDefinition = {
  readonly id: string
  readonly description: string
  readonly type: TraitType
  readonly source: TraitSource
}

export type TraitSource =
  /** A value of matching events. Policies: recency (newest event time wins), first, max, min. Ties go to the larger event id. */
  | {
      readonly kind: 'field'
      readonly policy: 'recency' | 'first' | 'max' | 'min'
      readonly match: EventMatch
      /** First that is set; `literal` gives a constant. */
      readonly value: readonly ValuePath[] | { readonly literal: Literal }
      readonly trust: number
    }
  /** Exact decimal sum of a value over all matching events. */
  | { readonly kind: 'sum'; readonly match: EventMatch; readonly value: readonly ValuePath[] }
  /** Distinct values of matching events, at most `max` (the smallest by text are kept). */
  | { readonly kind: 'union'; readonly match: EventMatch; readonly value: readonly ValuePath[]; readonly max: number }
  /** Matching events: all of them (windowMs null) or those with time in (now - windowMs, now]; a windowed count stops at windowedCountMax. */
  | { readonly kind: 'count'; readonly match: EventMatch; readonly windowMs: number | null }

/** Where a windowed count of a trait stops. */
export const windowedCountMax = 512

// --- segments ---

export type SegmentDefinition = {
  readonly id: string
  readonly description: string
  /** As the author wrote it, for people. */
  readonly source: string
  readonly expression: Expression
  /** Digest of the expression: the version of the segment. */
  readonly version: string
}

/** The canonical form of a segment rule, over traits and events of one profile. */
export type Expression =
  | { readonly op: 'and' | 'or'; readonly of: readonly Expression[] }
  | { readonly op: 'not'; readonly of: Expression }
  /** A trait that is not set compares false, also under !=. A list compares true when any of its values does. */
  | { readonly op: 'trait'; readonly trait: string; readonly comparison: Comparison; readonly value: Literal }
  | { readonly op: 'trait_in'; readonly trait: string; readonly values: readonly Literal[] }
  | { readonly op: 'has'; readonly trait: string }
  /** Events with time in (now - windowMs, now], or all. */
  | {
      readonly op: 'count'
      readonly match: EventMatch
      readonly windowMs: number | null
      readonly comparison: Comparison
      readonly threshold: number
    }
  /**
   * No match for `windowMs` since the anchor: the newest `after` event, or the profile's first event when none is given.
   * True from max(anchor, newest match) + windowMs on; false while there is no anchor. A match at the anchor's own instant counts as after it.
   * With `after`: only matches at or after the anchor count.
   */
  | { readonly op: 'absent'; readonly match: EventMatch; readonly windowMs: number; readonly after: EventMatch | null }

// --- consent, destinations ---

export type ConsentRules = {
  readonly purposes: readonly string[]
  /** How events speak of consent: when `match` holds, the purposes are granted or denied. Newest event time wins; a tie is a denial. */
  readonly signals: readonly ConsentSignal[]
}

export type ConsentSignal = {
  readonly match: EventMatch
  readonly granted: boolean
  /** Fixed purposes, or a path to a list of their names. */
  readonly purposes: readonly string[] | { readonly from: ValuePath }
}

export type DestinationDefinition = {
  readonly id: string
  readonly description: string
  readonly type: 'file' | 'webhook'
  readonly segments: readonly string[]
  /** All must be granted, or nothing is sent. */
  readonly purposes: readonly string[]
  readonly identifiers: readonly DestinationIdentifier[]
  readonly traits: readonly string[]
  /** Settings of the connector; a secret is given by reference only, as `{ env: NAME }`. */
  readonly settings: Readonly<Record<string, unknown>>
}

export type DestinationIdentifier = {
  /** As the destination calls it. */
  readonly type: string
  readonly namespace: string
  readonly encoding: 'plain' | 'sha256'
}
