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
  /** How data are held against schemas; undefined: as `igluDefaults` say. */
  readonly iglu?: IgluRules
  /** Schemas that are not among `schemas`; undefined: there are no others. */
  readonly lookup?: SchemaLookup
  readonly identity: IdentityRules
  readonly traits: readonly TraitDefinition[]
  readonly segments: readonly SegmentDefinition[]
  readonly destinations: readonly DestinationDefinition[]
  readonly consent: ConsentRules
  readonly enrichments: EnrichmentRules
  /** Values of the environment variables that the enrichments name. Never in the log, as `tenantKey`. */
  readonly secrets: ReadonlyMap<string, string>
}

// --- enrichments ---

/**
 * What VALIDATE adds to an event, or takes from it, beyond what it always does (timestamps, URLs, a fingerprint). Null,
 * false and an empty list: not at all.
 */
export type EnrichmentRules = {
  readonly fingerprint: FingerprintRule
  readonly userAgent: boolean
  readonly referers: RefererRule | null
  readonly campaigns: CampaignRule | null
  /** The entity of what a link carries over; its columns are always set. */
  readonly crossNavigation: boolean
  /** Names, of which each cookie that was sent becomes an entity. */
  readonly cookies: readonly string[]
  /** Names in lower case, of which each header that was sent becomes an entity. */
  readonly headers: readonly string[]
  readonly bots: boolean
  /** How many of an address's last parts are hidden. */
  readonly ipAnonymisation: { readonly octets: number; readonly segments: number } | null
  readonly pseudonyms: PseudonymRule | null
}

export const hashAlgorithms = ['MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const
export type HashAlgorithm = (typeof hashAlgorithms)[number]

export type FingerprintRule = {
  readonly algorithm: HashAlgorithm
  /** Parameters of the tracker protocol that do not count. */
  readonly exclude: readonly string[]
}

export type RefererRule = {
  /** Hosts; `*.` in front stands for all of their subdomains. */
  readonly internalDomains: readonly string[]
  /** Looked up before the built-in ones. */
  readonly sources: readonly RefererSource[]
}

export type RefererSource = {
  /** search, social, email, chatbot, paid, … */
  readonly medium: string
  readonly source: string
  /** `host` or `host/path`; a host stands for its subdomains too, and `google.*` for every country's. */
  readonly domains: readonly string[]
  /** Of the referrer's querystring: the first that is there is the search term. */
  readonly parameters: readonly string[]
}

/** Parameters of the page's querystring; of several the first that has a value is taken. */
export type CampaignRule = {
  readonly medium: readonly string[]
  readonly source: readonly string[]
  readonly term: readonly string[]
  readonly content: readonly string[]
  readonly campaign: readonly string[]
  readonly clickIds: readonly { readonly parameter: string; readonly network: string }[]
}

export type PseudonymRule = {
  readonly algorithm: HashAlgorithm
  /** The last whose time has come in log time is used: so keys are rotated. The first is for all time before. */
  readonly salts: readonly { readonly env: string; readonly fromMs: number | null }[]
  /** Only events that were sent with the header SP-Anonymous. */
  readonly anonymousOnly: boolean
  readonly columns: readonly PseudonymColumn[]
  readonly data: readonly PseudonymData[]
}

/** The columns that can hold what identifies a person. */
export const pseudonymColumns = [
  'user_id',
  'user_ipaddress',
  'user_fingerprint',
  'domain_userid',
  'network_userid',
  'ip_organization',
  'ip_domain',
  'tr_orderid',
  'ti_orderid',
  'mkt_term',
  'mkt_content',
  'se_category',
  'se_action',
  'se_label',
  'se_property',
  'mkt_clickid',
  'refr_domain_userid',
  'domain_sessionid',
] as const
export type PseudonymColumn = (typeof pseudonymColumns)[number]

/** Places in self-describing data: of the event itself, or of an entity, derived or not. */
export type PseudonymData = {
  /** `iglu:vendor/name/jsonschema/1-*-*`. */
  readonly criterion: string
  readonly paths: readonly (readonly PathStep[])[]
}

/** A step of a JSONPath: `.name`, `[0]`, `[*]`, or `..name` (at any depth). */
export type PathStep =
  | { readonly step: 'member'; readonly name: string }
  | { readonly step: 'index'; readonly index: number }
  | { readonly step: 'every' }
  | { readonly step: 'anywhere'; readonly name: string }

/** Of a tenant that has decided nothing. */
export const defaultEnrichments: EnrichmentRules = {
  fingerprint: { algorithm: 'MD5', exclude: ['eid', 'nuid', 'stm', 'cv'] },
  userAgent: false,
  referers: null,
  campaigns: null,
  crossNavigation: false,
  cookies: [],
  headers: [],
  bots: false,
  ipAnonymisation: null,
  pseudonyms: null,
}

// --- schemas ---

export type IgluRules = {
  /** Whose verdicts are given where Iglu's validator and the published standards differ. */
  readonly compat: 'iglu' | 'standard'
  /** as_written: `1.0` is no integer, as in Iglu. lenient: it is one, as in JSON Schema. */
  readonly integers: 'lenient' | 'as_written'
  /** What is done about a null where an optional property allows for none: drop takes it for absent, and notes it. */
  readonly nulls: NullPolicy
  /** Instead, for schemas that a criterion fits (`iglu:com.acme/x/jsonschema/1-*-*`); the first that does. */
  readonly nullsOf: readonly { readonly schema: string; readonly nulls: NullPolicy }[]
  readonly registries: Registries | null
}

export type NullPolicy = 'keep' | 'drop'

export const igluDefaults: IgluRules = {
  compat: 'iglu',
  integers: 'lenient',
  nulls: 'keep',
  nullsOf: [],
  registries: null,
}

/** Where schemas are looked up that the workspace does not have. */
export type Registries = {
  /** For how long a schema that was found is not asked for again; null: for ever. */
  readonly cacheTtlMs: number | null
  readonly repositories: readonly Repository[]
  /** Rises by one to have all of them asked again. */
  readonly refresh: number
}

export type Repository = {
  readonly name: string
  /** Lower is asked earlier, among those that fit the vendor equally. */
  readonly priority: number
  readonly vendorPrefixes: readonly string[]
  /** A folder, from the workspace's; or an address, with the name of the variable that holds the key to it. */
  readonly at: { readonly folder: string } | { readonly uri: string; readonly apiKeyEnv: string | null }
}

/** What registries say of a schema. */
export type SchemaAnswer = {
  /** The one to hold data against, which may supersede the one asked for; null: no registry has it. */
  readonly schema: { readonly uri: string; readonly text: string } | null
  /** Repositories that did not simply say that they have none. */
  readonly failures: readonly { readonly repository: string; readonly message: string }[]
}

/** Undefined: they are only now being asked. Whoever needs the answer throws SCHEMA_MISSING, and is run again. */
export type SchemaLookup = (uri: string, logTimeMs: number) => SchemaAnswer | undefined

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
