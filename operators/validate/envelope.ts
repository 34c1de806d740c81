/** The envelopes in which Snowplow's rows hold self-describing JSON, written as texts. */
import type { Event, SelfDescribing } from '../../schemas/avro/types.ts'
import { snowplow } from './schema-key.ts'

/** The text of a `contexts` column; null when there is no entity. */
export const contextsText = (entities: Event['contexts']): string | null =>
  entities.length === 0 ? null : `{"schema":"${snowplow.contexts}","data":[${entities.map(selfDescribing).join(',')}]}`

/** The text of the column `unstruct_event`. */
export const unstructText = (event: SelfDescribing): string =>
  `{"schema":"${snowplow.unstructEvent}","data":${selfDescribing(event)}}`

/** {schema, data}, the data as they are. */
export const selfDescribing = ({ schema, data }: SelfDescribing): string =>
  `{"schema":${JSON.stringify(schema)},"data":${data}}`
