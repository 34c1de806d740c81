// Generated from the .avsc files beside it by `npm run generate`. Do not edit.

/** What a task keeps under one key: a section for each operator of the stage, and the timers of the key. */
export type Row = {
  /** The latest clock at which this key was changed; a key never goes back in time. */
  readonly clockMs: number
  /** The instant under which the timer index lists this row; never later than its first timer. */
  readonly indexedAtMs: null | number
  readonly timers: readonly Timer[]
  readonly sections: readonly Section[]
}

/** A durable timer of a key. */
export type Timer = {
  readonly id: string
  readonly atMs: number
}

/** The state of one operator. */
export type Section = {
  readonly operator: string
  /** Confluent-framed Avro; names its writer schema. */
  readonly value: Buffer
}

/** How far a task is: written to its changelog in the commit it describes. */
export type Checkpoint = {
  /** The next offset of the inbox to process. */
  readonly inputOffset: number
  /** Commits made so far. */
  readonly commits: number
  /** Records emitted so far, changelog not counted. */
  readonly emitted: number
  /** Per upstream task, the last tick seen; in a source stage the one key `log`. */
  readonly clocks: Readonly<Record<string, number>>
  /** A source stage: a history is being loaded in its own log time, and the wall clock stays out of the inbox. */
  readonly history: boolean
  /** The task takes turns: nothing is processed before the next turn is in the inbox. */
  readonly held: boolean
  /** A sweep record is under way in the inbox. */
  readonly sweeping: boolean
  /** Which generation the task writes for; 0 in the first, and in a replay until it is promoted. */
  readonly generation: number
  /** Per tenant, the hash of the definitions in force. */
  readonly definitions: Readonly<Record<string, string>>
  /** What was counted, by name; exact, as it commits with the work. */
  readonly counters: Readonly<Record<string, number>>
}

/** Log time has come this far: after it, the writer sends nothing earlier. */
export type Tick = {
  /** stage/partition of the upstream task; in a source inbox `source`, or `history` while log time is that of a history that is being loaded */
  readonly writer: string
  readonly clockMs: number
}

/** Go on firing due timers: written by a task into its own inbox when one slice was not enough. */
export type Sweep = {
  readonly clockMs: number
}

/** From here on, these definitions are in force for the tenant. */
export type Marker = {
  readonly tenant: string
  readonly version: number
  readonly hash: string
}

/** From here on, what the stage writes is of this generation. Kind generation, in every inbox of a replay that is promoted. */
export type Generation = {
  readonly number: number
}

/** One definition, by the hash of its body; or a manifest, which lists the hashes of a version. */
export type Definition = {
  readonly tenant: string
  /** SHA-256 of kind and body, hex */
  readonly hash: string
  readonly kind: DefinitionKind
  readonly id: string
  /** JSON */
  readonly body: string
  readonly version: number
  readonly actor: string
}

export type DefinitionKind = 'manifest' | 'schema' | 'identity' | 'trait' | 'segment' | 'destination' | 'consent' | 'tenant_key' | 'enrichments' | 'iglu' | 'answer'

/** A record or a timer whose processing failed, byte for byte, with the cause and where it came from. */
export type DeadLetter = {
  readonly stage: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly kind: string
  readonly logTimeMs: number
  readonly key: null | string
  readonly value: null | Buffer
  readonly timer: null | DeadTimer
  readonly code: string
  readonly message: string
}

/** The timer that failed, and the row it belonged to. */
export type DeadTimer = {
  readonly id: string
  readonly atMs: number
  readonly row: Buffer
}

/** One event as it was received: a payload with several events is split before it is written. Topic events.raw, key tenant/client. */
export type RawEvent = {
  readonly tenant: string
  /** collector, ingest, demo: what wrote it */
  readonly source: string
  readonly format: RawFormat
  readonly payloadId: string
  /** place within the payload, from 0 */
  readonly index: number
  readonly collectorTstampMs: number
  /** of the endpoint it was posted to, such as com.snowplowanalytics.snowplow; null outside HTTP */
  readonly vendor: null | string
  /** such as tp2 */
  readonly version: null | string
  /** what received it, where that was another collector than ours */
  readonly collector: null | string
  readonly contentType: null | string
  readonly hostname: null | string
  readonly ipAddress: null | string
  readonly userAgent: null | string
  readonly refererUri: null | string
  readonly networkUserId: null | string
  readonly headers: readonly string[]
  readonly querystring: null | string
  /** JSON of one event, empty for a GET; where there is a failure the whole payload, or what of it was kept */
  readonly body: string
  /** why there is no event to read */
  readonly failure: null | RawFailure
}

/** tp2: the body is one tracker-protocol event; ndjson: one object of atomic fields; tsv: a line of enriched TSV; segment: one call of the Segment spec; thrift: there is a failure, and the body is base64 of what is no collector payload. */
export type RawFormat = 'tp2' | 'ndjson' | 'tsv' | 'segment' | 'thrift'

/** What the source met instead of an event. */
export type RawFailure = {
  readonly kind: RawFailureKind
  /** body, contentType, querystring, or the place in the body */
  readonly field: string
  /** what was expected, or why it could not be read */
  readonly message: string
  /** only for size */
  readonly actualBytes: null | number
  /** only for size */
  readonly maximumBytes: null | number
}

/** json: the field is not JSON; data: it is not what the protocol expects there; size: it is too large. */
export type RawFailureKind = 'json' | 'data' | 'size'

/** A validated event: the 131 columns of an enriched Snowplow event, typed, in their published spelling, with the self-describing parts as {schema, data}. Decimals are strings. */
export type Event = {
  readonly tenant: string
  readonly app_id: null | string
  readonly platform: null | string
  readonly etl_tstamp: null | number
  readonly collector_tstamp: number
  readonly dvce_created_tstamp: null | number
  readonly event: null | string
  readonly event_id: string
  readonly txn_id: null | number
  readonly name_tracker: null | string
  readonly v_tracker: null | string
  readonly v_collector: string
  readonly v_etl: string
  readonly user_id: null | string
  readonly user_ipaddress: null | string
  readonly user_fingerprint: null | string
  readonly domain_userid: null | string
  readonly domain_sessionidx: null | number
  readonly network_userid: null | string
  readonly geo_country: null | string
  readonly geo_region: null | string
  readonly geo_city: null | string
  readonly geo_zipcode: null | string
  readonly geo_latitude: null | number
  readonly geo_longitude: null | number
  readonly geo_region_name: null | string
  readonly ip_isp: null | string
  readonly ip_organization: null | string
  readonly ip_domain: null | string
  readonly ip_netspeed: null | string
  readonly page_url: null | string
  readonly page_title: null | string
  readonly page_referrer: null | string
  readonly page_urlscheme: null | string
  readonly page_urlhost: null | string
  readonly page_urlport: null | number
  readonly page_urlpath: null | string
  readonly page_urlquery: null | string
  readonly page_urlfragment: null | string
  readonly refr_urlscheme: null | string
  readonly refr_urlhost: null | string
  readonly refr_urlport: null | number
  readonly refr_urlpath: null | string
  readonly refr_urlquery: null | string
  readonly refr_urlfragment: null | string
  readonly refr_medium: null | string
  readonly refr_source: null | string
  readonly refr_term: null | string
  readonly mkt_medium: null | string
  readonly mkt_source: null | string
  readonly mkt_term: null | string
  readonly mkt_content: null | string
  readonly mkt_campaign: null | string
  readonly contexts: readonly SelfDescribing[]
  readonly se_category: null | string
  readonly se_action: null | string
  readonly se_label: null | string
  readonly se_property: null | string
  readonly se_value: null | string
  readonly unstruct_event: null | SelfDescribing
  readonly tr_orderid: null | string
  readonly tr_affiliation: null | string
  readonly tr_total: null | string
  readonly tr_tax: null | string
  readonly tr_shipping: null | string
  readonly tr_city: null | string
  readonly tr_state: null | string
  readonly tr_country: null | string
  readonly ti_orderid: null | string
  readonly ti_sku: null | string
  readonly ti_name: null | string
  readonly ti_category: null | string
  readonly ti_price: null | string
  readonly ti_quantity: null | number
  readonly pp_xoffset_min: null | number
  readonly pp_xoffset_max: null | number
  readonly pp_yoffset_min: null | number
  readonly pp_yoffset_max: null | number
  readonly useragent: null | string
  readonly br_name: null | string
  readonly br_family: null | string
  readonly br_version: null | string
  readonly br_type: null | string
  readonly br_renderengine: null | string
  readonly br_lang: null | string
  readonly br_features_pdf: null | boolean
  readonly br_features_flash: null | boolean
  readonly br_features_java: null | boolean
  readonly br_features_director: null | boolean
  readonly br_features_quicktime: null | boolean
  readonly br_features_realplayer: null | boolean
  readonly br_features_windowsmedia: null | boolean
  readonly br_features_gears: null | boolean
  readonly br_features_silverlight: null | boolean
  readonly br_cookies: null | boolean
  readonly br_colordepth: null | string
  readonly br_viewwidth: null | number
  readonly br_viewheight: null | number
  readonly os_name: null | string
  readonly os_family: null | string
  readonly os_manufacturer: null | string
  readonly os_timezone: null | string
  readonly dvce_type: null | string
  readonly dvce_ismobile: null | boolean
  readonly dvce_screenwidth: null | number
  readonly dvce_screenheight: null | number
  readonly doc_charset: null | string
  readonly doc_width: null | number
  readonly doc_height: null | number
  readonly tr_currency: null | string
  readonly tr_total_base: null | string
  readonly tr_tax_base: null | string
  readonly tr_shipping_base: null | string
  readonly ti_currency: null | string
  readonly ti_price_base: null | string
  readonly base_currency: null | string
  readonly geo_timezone: null | string
  readonly mkt_clickid: null | string
  readonly mkt_network: null | string
  readonly etl_tags: null | string
  readonly dvce_sent_tstamp: null | number
  readonly refr_domain_userid: null | string
  readonly refr_dvce_tstamp: null | number
  readonly derived_contexts: readonly SelfDescribing[]
  readonly domain_sessionid: null | string
  readonly derived_tstamp: null | number
  readonly event_vendor: null | string
  readonly event_name: null | string
  readonly event_format: null | string
  readonly event_version: null | string
  readonly event_fingerprint: null | string
  readonly true_tstamp: null | number
  readonly source: string
  readonly payload_id: string
  readonly payload_index: number
  readonly encrypted: readonly EncryptedField[]
}

/** Self-describing JSON: an Iglu schema key and data that satisfies it. */
export type SelfDescribing = {
  /** iglu:vendor/name/format/M-R-A */
  readonly schema: string
  /** JSON */
  readonly data: string
}

/** A field whose value was encrypted before it was written. */
export type EncryptedField = {
  readonly field: string
  readonly keyId: string
  readonly ciphertext: Buffer
}

/** What could not become an event, as a Snowplow bad row. Topic events.bad. */
export type BadRow = {
  readonly tenant: string
  /** iglu:com.snowplowanalytics.snowplow.badrows/… */
  readonly schema: string
  /** JSON {processor, failure, payload} */
  readonly data: string
  readonly payloadId: string
  readonly index: number
}

/** A value in an identifier namespace, normalised. */
export type Identifier = {
  readonly namespace: string
  /** normalised; plain */
  readonly value: string
  /** keyed by the tenant secret: safe to use as a key */
  readonly hash: string
}

/** An event with the profile it belonged to when it was decided. Topic events.identified, kind event, key tenant/profileId. */
export type IdentifiedEvent = {
  readonly tenant: string
  /** a hint: the fragment is the truth */
  readonly profileId: string
  /** namespace:hash, for devices and cookies with /sittingId */
  readonly fragment: string
  readonly client: string
  readonly sittingId: string
  /** graph sequence of the decision; 0 when IDENTIFY alone decided */
  readonly identitySeq: number
  /** times it was forwarded */
  readonly hops: number
  /** by priority, best first */
  readonly identifiers: readonly Identifier[]
  readonly event: Event
}

/** What IDENTIFY asks of GRAPH: resolve (decide and send the event on) or notice (a profile was founded). Topic identity.requests, key tenant/shard. */
export type IdentityRequest = {
  readonly tenant: string
  readonly kind: IdentityRequestKind
  readonly client: string
  /** per client, from 1; 0 in a notice */
  readonly requestSeq: number
  /** digest of the exact set of identifiers and the rule version; after user: when a unique value is among them, else after anon: */
  readonly setKey: string
  readonly sittingId: string
  /** namespace:hash of the one unique person identifier that has signed in during the sitting so far; null when none has, or several */
  readonly sittingUser: null | string
  readonly identifiers: readonly Identifier[]
  /** derived_tstamp of the event, not later than collector_tstamp */
  readonly foundedAtMs: number
  readonly eventId: string
  readonly collectorTstampMs: number
  /** present in a resolve */
  readonly event: null | Event
}

export type IdentityRequestKind = 'resolve' | 'notice'

/** What GRAPH teaches a client, or PROFILE corrects. Topic events.raw, kind learned, key tenant/client. */
export type Learned = {
  readonly tenant: string
  readonly client: string
  /** the request it answers; 0 for a correction, or for an answer to a notice */
  readonly requestSeq: number
  readonly setKey: string
  /** set when the answer holds for this sitting only (a shared device) */
  readonly sittingId: null | string
  readonly profileId: string
  /** a correction: every answer with this profile now has profileId */
  readonly replaces: null | string
  readonly identitySeq: number
}

/** A decision of the identity graph. Topic identity.changes, append-only, key tenant/profileId (to). */
export type IdentityChange = {
  readonly changeId: string
  readonly tenant: string
  /** of the graph that decided it: each has a history of its own */
  readonly generation: number
  /** per tenant and generation, no gaps */
  readonly seq: number
  readonly type: IdentityChangeType
  readonly from: readonly string[]
  readonly to: string
  readonly eventId: string
  readonly collectorTstampMs: number
  readonly namespace: null | string
  readonly valueHash: null | string
  readonly rule: string
  readonly ruleVersion: string
  readonly effectiveAtMs: number
  readonly decidedAtMs: number
  readonly actor: string
  readonly reverses: null | string
}

export type IdentityChangeType = 'profile_created' | 'identifier_linked' | 'profile_merged' | 'merge_refused' | 'conflicting_unique'

/** One hop from a profile that was merged to the one it was merged into. Topic identity.aliases, compacted, key tenant/profileId. */
export type IdentityAlias = {
  readonly tenant: string
  readonly profileId: string
  readonly mergedInto: string
  readonly identitySeq: number
}

/** GRAPH orders the hand-over of all that `from` owns to `to`. Topic events.identified, kind merge, in the inbox of both. */
export type MergeOrder = {
  readonly tenant: string
  readonly mergeId: string
  readonly from: string
  readonly to: string
  readonly identitySeq: number
  readonly eventId: string
  readonly effectiveAtMs: number
}

/** What IDENTIFY keeps for a client, under tenant/client. */
export type ClientState = {
  /** requests sent to GRAPH so far */
  readonly requestSeq: number
  /** the last of them that was answered */
  readonly answeredSeq: number
  /** most recently used last; bounded */
  readonly decided: readonly DecidedSet[]
  /** most recently used last; bounded */
  readonly sittings: readonly Sitting[]
  /** accepted event ids, oldest first; bounded: the oldest move to rows of their own */
  readonly recent: readonly SeenEvent[]
  /** until then some accepted event ids have rows of their own; 0 when none has */
  readonly spilledUntilMs: number
  /** until then some event may have been accepted under an id derived from its own; 0 when none was */
  readonly conflictUntilMs: number
}

/** An identifier set that GRAPH or IDENTIFY has decided. */
export type DecidedSet = {
  /** of the request: starts with user: when a unique value is among the identifiers, else with anon: */
  readonly setKey: string
  /** set when it holds for that sitting only */
  readonly sittingId: null | string
  readonly profileId: string
  readonly identitySeq: number
}

/** Events of one client with gaps under 30 minutes. */
export type Sitting = {
  /** id of its first accepted event */
  readonly id: string
  /** event time */
  readonly startMs: number
  readonly endMs: number
  /** namespace:hash of the unique person identifiers that signed in; 2 are kept, as more make no difference */
  readonly users: readonly string[]
}

/** An event id accepted in the last 7 days of log time. */
export type SeenEvent = {
  readonly eventId: string
  readonly fingerprint: string
  readonly atMs: number
}

/** An accepted event id of a busy client, under tenant/client#eventId; expires by a timer. */
export type SeenEventState = {
  readonly fingerprint: string
  readonly atMs: number
}

/** What IDENTIFY keeps under a key: of a client, of a busy client's event id, or of both where the two keys coincide. */
export type IdentifyState = {
  readonly client: null | ClientState
  readonly seen: null | SeenEventState
}

/** What GRAPH keeps; the key tells which: tenant/seq, tenant/id:namespace:hash, tenant/profile:id, tenant/edge:a|b. */
export type GraphState = {
  readonly sequence: null | GraphSequence
  readonly identifier: null | IdentifierNode
  readonly profile: null | ProfileNode
  readonly edge: null | Edge
}

/** The last sequence given out for the tenant. */
export type GraphSequence = {
  readonly seq: number
}

/** Who owns an identifier. */
export type IdentifierNode = {
  /** a node of each owner, oldest link first; follow parents to the present root; bounded */
  readonly owners: readonly string[]
  readonly firstSeenMs: number
  /** links ever made, those to profiles that have merged since included */
  readonly links: number
}

/** A node in the union-find forest of profiles; the root of a tree stands for all in it. */
export type ProfileNode = {
  /** of the surviving profile */
  readonly createdAtMs: number
  /** in a root: the profile that the tree is now; its oldest, and not always the root's own id */
  readonly survivor: string
  /** the node that stands for this one since a merge; null in a root */
  readonly parent: null | string
  /** a tree of rank r is at most r deep and has at least 2^r nodes */
  readonly rank: number
  /** graph sequence of that merge */
  readonly mergeSeq: null | number
  /** per unique namespace, the hash of its one value */
  readonly unique: Readonly<Record<string, string>>
  /** the first to be linked; bounded, identity.changes has all */
  readonly identifiers: readonly LinkedIdentifier[]
  /** profiles merged into it so far */
  readonly merges: number
}

/** An identifier of the profile. */
export type LinkedIdentifier = {
  readonly namespace: string
  readonly hash: string
  readonly linkedAtMs: number
}

/** Two identifiers seen together on an event: kept so that a component can be recomputed. */
export type Edge = {
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly count: number
  readonly eventId: string
  readonly source: string
  readonly ruleVersion: string
}

/** What was learned from the events attributed to one identifier. */
export type Fragment = {
  readonly key: string
  /** graph sequence of the ownership; the highest wins */
  readonly ownerSeq: number
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly events: number
  readonly identifiers: readonly SeenIdentifier[]
  /** by trait key */
  readonly fields: Readonly<Record<string, FieldState>>
  /** by aggregate key */
  readonly aggregates: Readonly<Record<string, AggregateState>>
  /** by purpose */
  readonly consents: Readonly<Record<string, ConsentState>>
}

/** An identifier seen on the events of the fragment. */
export type SeenIdentifier = {
  readonly namespace: string
  readonly value: string
  readonly hash: string
  readonly firstSeenMs: number
  readonly lastSeenMs: number
}

/** The winning value of a trait in this fragment. */
export type FieldState = {
  readonly value: null | boolean | number | string | readonly string[]
  readonly eventTimeMs: number
  readonly source: string
  readonly trust: number
  readonly eventId: string
}

/** A lifetime count and exact sum, or the newest matching events. */
export type AggregateState = {
  readonly count: number
  /** exact decimal */
  readonly sum: null | string
  /** distinct values, smallest first, capped */
  readonly values: readonly string[]
  /** newest first by (time, event id), capped */
  readonly newest: readonly Entry[]
}

/** An event that matched. */
export type Entry = {
  readonly atMs: number
  readonly eventId: string
}

/** The newest consent decision for a purpose. */
export type ConsentState = {
  readonly granted: boolean
  readonly eventTimeMs: number
  readonly eventId: string
}

/** A hand-over of which the order or a part has been seen, not yet both. */
export type PendingHandover = {
  readonly mergeId: string
  readonly from: string
  readonly announced: boolean
  readonly partsSeen: number
  /** 0 until the first part is seen */
  readonly parts: number
}

/** What PROFILE keeps for a profile. Key tenant/profileId. */
export type ProfileState = {
  readonly tenant: string
  readonly profileId: string
  readonly createdAtMs: number
  readonly forward: null | Forwarder
  readonly handovers: readonly PendingHandover[]
  readonly fragments: readonly Fragment[]
}

/** Everything was handed over; whatever arrives is passed on. */
export type Forwarder = {
  readonly to: string
  readonly mergeId: string
  readonly identitySeq: number
}

/** The golden customer record: the merge of the fragments a profile owns. Topic profiles, compacted, key tenant/profileId. */
export type Profile = {
  readonly tenant: string
  readonly profileId: string
  readonly generation: number
  /** with generation the version: a lower one never replaces a higher */
  readonly sequence: number
  readonly createdAtMs: number
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly events: number
  readonly traits: Readonly<Record<string, TraitValue>>
  readonly identifiers: readonly SeenIdentifier[]
  readonly consents: Readonly<Record<string, ConsentState>>
  readonly fragments: readonly string[]
}

/** A trait with where it came from. */
export type TraitValue = {
  readonly value: null | boolean | number | string | readonly string[]
  readonly eventTimeMs: number
  readonly source: string
  readonly eventId: string
}

/** One profile in one audience, or out of it. */
export type Membership = {
  readonly segmentId: string
  /** hash of the segment definition */
  readonly version: string
  readonly member: boolean
  readonly seq: number
  readonly effectiveAtMs: number
  /** when the answer changes with no further event */
  readonly validUntilMs: null | number
}

/** What SEGMENT keeps for a profile. Key tenant/profileId. */
export type SegmentState = {
  /** hash of the definitions it was last evaluated under */
  readonly definitions: string
  readonly memberships: readonly Membership[]
}

/** A profile entered or left a segment. Topic segments.memberships, append-only, key tenant/profileId. */
export type MembershipTransition = {
  /** UUIDv5 of (segment, version, profile, seq) */
  readonly id: string
  readonly tenant: string
  readonly segmentId: string
  readonly version: string
  readonly profileId: string
  readonly status: TransitionStatus
  /** per profile and segment, from 1, no gaps */
  readonly seq: number
  /** when it became true; for a timer its deadline */
  readonly effectiveAtMs: number
  readonly evaluatedAtMs: number
  readonly reason: TransitionReason
  readonly causeEventId: null | string
  readonly mergedInto: null | string
  /** live, or the id of a run */
  readonly origin: string
}

export type TransitionStatus = 'entered' | 'exited'

export type TransitionReason = 'event' | 'timer' | 'merge' | 'split' | 'backfill' | 'definition' | 'late_event' | 'consent' | 'erasure'

/** An identifier in the form a destination takes. */
export type SentIdentifier = {
  readonly type: string
  readonly value: string
}

/** What a destination was last sent for a profile and a segment. */
export type Sent = {
  readonly destinationId: string
  readonly segmentId: string
  readonly profileId: string
  readonly identifiers: readonly SentIdentifier[]
  readonly traitsDigest: string
  readonly seq: number
}

/** What ACTIVATE keeps for a profile. Key tenant/profileId. */
export type ActivationState = {
  /** records sent for this profile so far */
  readonly seq: number
  readonly sent: readonly Sent[]
}

/** A change for a destination. Topic connect.<destination>, key tenant/profileId. */
export type Activation = {
  readonly op: ActivationOp
  readonly tenant: string
  readonly destinationId: string
  readonly segmentId: string
  readonly profileId: string
  /** a rekey: the profile that was merged */
  readonly previousProfileId: null | string
  readonly identifiers: readonly SentIdentifier[]
  readonly traits: Readonly<Record<string, null | boolean | number | string | readonly string[]>>
  readonly idempotencyKey: string
  readonly effectiveAtMs: number
  readonly reason: TransitionReason
  /** of the event that caused it; null for a timer */
  readonly collectorTstampMs: null | number
}

export type ActivationOp = 'add' | 'update' | 'remove' | 'rekey'

/** How far a connector is in a partition of its topic. Topic connectors.positions, compacted, key <destinationId>/<partition>. */
export type ConnectorPosition = {
  /** the next offset to deliver */
  readonly offset: number
  /** records delivered before it, each counted once */
  readonly delivered: number
  /** records before it that the destination refused */
  readonly dead: number
}

/** How far a history has been fed into events.raw. Topic feeds.positions, compacted, key is the feed's id. */
export type FeedPosition = {
  /** items of the history that are in the log */
  readonly items: number
  /** the history is in whole, and the far tick after it */
  readonly ended: boolean
}

/** What a merged profile owned, on its way to the survivor; may come in parts. Topic events.identified, kind handover, key tenant/profileId of the survivor. */
export type Handover = {
  readonly tenant: string
  readonly mergeId: string
  readonly from: string
  readonly to: string
  readonly identitySeq: number
  readonly part: number
  readonly parts: number
  readonly createdAtMs: number
  readonly effectiveAtMs: number
  readonly eventId: string
  readonly fragments: readonly Fragment[]
  readonly handovers: readonly PendingHandover[]
  readonly memberships: readonly Membership[]
  readonly sent: readonly Sent[]
}

/** Beside the dead letters or bad rows of a partition: one of them has been put back, or what stands for it has been written. */
export type Replayed = {
  readonly letterOffset: number
}

/** What readers know of a profile when a replay is promoted: from there its segments and destinations go on. Topic events.identified, kind adoption, key tenant/profileId. */
export type Adoption = {
  readonly tenant: string
  readonly profileId: string
  /** the topic profiles has a record of it */
  readonly published: boolean
  /** as last announced; every segment that was ever entered */
  readonly memberships: readonly Membership[]
  /** sent to destinations for this profile so far */
  readonly activations: number
  /** what destinations hold; also under profiles that are this one now */
  readonly sent: readonly Sent[]
}

/** What identity.aliases is to tell of a profile when a replay is promoted. Topic identity.requests, kind alias, key tenant/shard. */
export type AdoptedAlias = {
  readonly tenant: string
  readonly profileId: string
  /** null: nothing any more */
  readonly alias: null | IdentityAlias
}

/** While a history is loaded tasks take turns: a task goes on up to here, and then waits for the next one. */
export type Turn = {
  /** There is no next one: from here the task goes on by itself. */
  readonly last: boolean
}

/** Every top-level schema, by name. */
export type Schemas = {
  readonly Row: Row
  readonly Checkpoint: Checkpoint
  readonly Tick: Tick
  readonly Sweep: Sweep
  readonly Marker: Marker
  readonly Generation: Generation
  readonly Definition: Definition
  readonly DeadLetter: DeadLetter
  readonly RawEvent: RawEvent
  readonly Event: Event
  readonly BadRow: BadRow
  readonly Identifier: Identifier
  readonly IdentifiedEvent: IdentifiedEvent
  readonly IdentityRequest: IdentityRequest
  readonly Learned: Learned
  readonly IdentityChange: IdentityChange
  readonly IdentityAlias: IdentityAlias
  readonly MergeOrder: MergeOrder
  readonly ClientState: ClientState
  readonly SeenEventState: SeenEventState
  readonly IdentifyState: IdentifyState
  readonly GraphState: GraphState
  readonly Fragment: Fragment
  readonly PendingHandover: PendingHandover
  readonly ProfileState: ProfileState
  readonly Profile: Profile
  readonly Membership: Membership
  readonly SegmentState: SegmentState
  readonly MembershipTransition: MembershipTransition
  readonly SentIdentifier: SentIdentifier
  readonly Sent: Sent
  readonly ActivationState: ActivationState
  readonly Activation: Activation
  readonly ConnectorPosition: ConnectorPosition
  readonly FeedPosition: FeedPosition
  readonly Handover: Handover
  readonly Replayed: Replayed
  readonly Adoption: Adoption
  readonly AdoptedAlias: AdoptedAlias
  readonly Turn: Turn
}

export type SchemaName = keyof Schemas

