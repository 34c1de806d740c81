/** Iglu schema keys: `iglu:vendor/name/format/MODEL-REVISION-ADDITION`. */

export type SchemaKey = {
  readonly uri: string
  readonly vendor: string
  readonly name: string
  readonly format: string
  readonly version: string
}

const pattern =
  /^iglu:([a-zA-Z0-9-_.]{1,128})\/([a-zA-Z0-9-_]{1,128})\/([a-zA-Z0-9-_]{1,128})\/([1-9]\d{0,8}-(?:0|[1-9]\d{0,8})-(?:0|[1-9]\d{0,8}))$/

/** Undefined when it is no schema key; a vendor or name of more than 128 characters makes it none. */
export function schemaKeyOf(uri: string): SchemaKey | undefined {
  const parts = pattern.exec(uri)
  if (!parts) return undefined
  const [, vendor, name, format, version] = parts
  return { uri, vendor: vendor!, name: name!, format: format!, version: version! }
}

/** What is wrong with one that is none. */
export const uriError = (uri: string): 'INVALID_SCHEMAVER' | 'INVALID_IGLUURI' =>
  /^iglu:[a-zA-Z0-9-_.]{1,128}\/[a-zA-Z0-9-_]{1,128}\/[a-zA-Z0-9-_]{1,128}\/[^/]*$/.test(uri)
    ? 'INVALID_SCHEMAVER'
    : 'INVALID_IGLUURI'

export const isSchemaKey = (uri: string): boolean => pattern.test(uri)

/** The schemas of Snowplow's own envelopes and shapes. */
export const snowplow = {
  atomic: 'iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0',
  payloadData: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
  unstructEvent: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
  failure: 'iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0',
  contexts: 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1',
  validationInfo: 'iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0',
} as const

/** That nulls were taken for absent: of which schema, and where. */
export const droppedNulls = 'iglu:com.millrace/dropped_nulls/jsonschema/1-0-0'
