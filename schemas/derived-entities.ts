/**
 * Schemas of the entities that Millrace itself adds to events, under the keys by which Snowplow's are published, so that
 * what reads those reads ours. Draft 4, as strict as what we write.
 */

const text = { type: 'string' } as const
const textOrNull = { type: ['string', 'null'] } as const

export const derivedEntitySchemas = {
  'iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0': {
    description: 'What a user agent says of browser, operating system and device.',
    type: 'object',
    properties: {
      useragentFamily: text,
      useragentMajor: textOrNull,
      useragentMinor: textOrNull,
      useragentPatch: textOrNull,
      useragentVersion: text,
      osFamily: text,
      osMajor: textOrNull,
      osMinor: textOrNull,
      osPatch: textOrNull,
      osPatchMinor: textOrNull,
      osVersion: text,
      deviceFamily: text,
    },
    required: ['useragentFamily', 'useragentMajor', 'useragentMinor', 'osFamily', 'deviceFamily'],
    additionalProperties: false,
  },
  'iglu:com.snowplowanalytics.snowplow/bot_detection/jsonschema/1-0-1': {
    description: 'Whether the event comes of a bot, and who says so.',
    type: 'object',
    properties: {
      bot: { type: 'boolean' },
      indicators: { type: 'array', items: { enum: ['yauaa', 'iab', 'asnLookups', 'clientSideDetection'] } },
    },
    required: ['bot', 'indicators'],
    additionalProperties: false,
  },
  'iglu:com.snowplowanalytics.snowplow/cross_navigation/jsonschema/1-0-0': {
    description: 'What a link carried over from another site or app.',
    type: 'object',
    properties: {
      domain_user_id: { type: 'string', maxLength: 128 },
      timestamp: { type: 'string', format: 'date-time' },
      session_id: { type: ['string', 'null'], format: 'uuid' },
      user_id: { type: ['string', 'null'], maxLength: 4096 },
      source_id: { type: ['string', 'null'], maxLength: 4096 },
      source_platform: { enum: ['web', 'mob', 'pc', 'srv', 'app', 'tv', 'cnsl', 'iot', 'headset', null] },
      reason: { type: ['string', 'null'], maxLength: 4096 },
    },
    required: ['domain_user_id', 'timestamp'],
    additionalProperties: false,
  },
  'iglu:org.ietf/http_cookie/jsonschema/1-0-0': {
    description: 'A cookie that came with the event.',
    type: 'object',
    properties: { name: text, value: textOrNull },
    required: ['name', 'value'],
    additionalProperties: false,
  },
  'iglu:org.ietf/http_header/jsonschema/1-0-0': {
    description: 'A header of the request that the event came in.',
    type: 'object',
    properties: { name: text, value: text },
    required: ['name', 'value'],
    additionalProperties: false,
  },
  'iglu:com.snowplowanalytics.snowplow/duplicate/jsonschema/1-0-0': {
    description: 'The id an event was sent with, where another event had it first.',
    type: 'object',
    properties: { originalEventId: { type: 'string', format: 'uuid' } },
    required: ['originalEventId'],
    additionalProperties: false,
  },
} as const

export type DerivedEntityKey = keyof typeof derivedEntitySchemas
