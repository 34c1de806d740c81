/** Schemas that every tenant has: of what is made here and not by a tracker. A tenant's own schema of the same key goes before. */

const anyObject = { type: 'object' }
const text = { type: 'string' }

/** The calls of the Segment spec as events and entities; data of traits, properties and context are whatever was sent. */
const segmentSchemas = {
  context: anyObject,
  identify: anyObject,
  track: closed({ event: text, properties: anyObject }, ['event', 'properties']),
  page: closed({ name: {}, category: {}, properties: anyObject }, ['properties']),
  screen: closed({ name: {}, category: {}, properties: anyObject }, ['properties']),
  group: closed({ groupId: { type: ['string', 'number'] }, traits: anyObject }, ['groupId', 'traits']),
  alias: closed({ previousId: { type: ['string', 'number'] }, userId: { type: ['string', 'number'] } }, ['previousId']),
}

function closed(properties: object, required: readonly string[]): object {
  return { type: 'object', properties, required, additionalProperties: false }
}

/** Texts by schema key. */
export const builtInSchemas: ReadonlyMap<string, string> = new Map(
  Object.entries(segmentSchemas).map(([name, schema]) => [
    `iglu:com.segment/${name}/jsonschema/1-0-0`,
    JSON.stringify(schema),
  ]),
)
