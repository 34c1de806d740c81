/** Whether an event comes of a bot: by its user agent, or because the page says so. Nobody else gets an entity. */
import { isbot } from 'isbot'
import type { Definitions } from '../../../schemas/definitions.ts'
import { memoised } from '../../memo.ts'
import type { Draft } from '../draft.ts'
import { carries, derivedEntity } from './derived-entity.ts'
import type { Enrichment } from './enrichment.ts'
import { userAgentLengthMax } from './user-agent.ts'

const schema = 'iglu:com.snowplowanalytics.snowplow/bot_detection/jsonschema/1-0-1'

export function bots({ enrichments }: Definitions): Enrichment | null {
  if (!enrichments.bots) return null
  return (draft, { entities }) => {
    const byAgent = draft.useragent !== null && isBot(draft.useragent.slice(0, userAgentLengthMax))
    const byPage = saidByPage(draft)
    if ((byAgent || byPage) && !carries(draft, schema)) {
      entities.push(byAgent && byPage ? both : byAgent ? agent : page)
    }
  }
}

const isBot = memoised((text: string): boolean => isbot(text))

/** The schema has a closed list of indicators; `yauaa` is the one that reads user agents, as we do. */
const verdict = (...indicators: string[]) => derivedEntity(schema, { bot: true, indicators })
const agent = verdict('yauaa')
const page = verdict('clientSideDetection')
const both = verdict('yauaa', 'clientSideDetection')

/** The tracker's plugin that looks for automated browsers adds an entity to every event. */
function saidByPage({ contexts }: Draft): boolean {
  for (const { schema, data } of contexts) {
    if (!clientSide.test(schema)) continue
    return (JSON.parse(data) as { readonly bot?: unknown } | null)?.bot === true
  }
  return false
}

const clientSide = /^iglu:[^/]+\/client_side_bot_detection\//
