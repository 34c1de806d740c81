/**
 * Cross-navigation: what a link says, in its parameter `_sp`, of where it was followed.
 * `duid.timestamp[.session.user.source.platform.reason]`, of which user, source and reason are base64url.
 */
import type { Definitions } from '../../../schemas/definitions.ts'
import { epochMs } from '../../../schemas/timestamp.ts'
import { columnOf, setColumn } from '../columns.ts'
import { addEntity, carries } from './derived-entity.ts'
import type { Enrichment } from './enrichment.ts'
import { queryValues } from './query.ts'

const schema = 'iglu:com.snowplowanalytics.snowplow/cross_navigation/jsonschema/1-0-0'

/** Sets `refr_domain_userid` and `refr_dvce_tstamp`, whatever is configured, and adds the entity where that is wanted. */
export function crossNavigation({ enrichments: { crossNavigation: withEntity } }: Definitions): Enrichment {
  return (draft, work) => {
    if (draft.page_urlquery === null || !draft.page_urlquery.includes('_sp=')) return
    const link = queryValues(draft.page_urlquery, wanted)?.get('_sp')
    if (link === undefined) return
    const [user = '', time = '', session, userId, sourceId, platform, reason] = link.split('.')
    const atMs = time === '' ? null : epochMs(time)
    if (atMs === undefined) {
      work.findings.underivable('sp_dtm', time.slice(0, 128), 'milliseconds since the epoch')
      return
    }
    if (draft.refr_domain_userid === null && user !== '') setColumn(draft, userColumn, user, work.findings)
    draft.refr_dvce_tstamp ??= atMs
    if (!withEntity || user === '' || atMs === null || carries(draft, schema)) return
    const data = {
      domain_user_id: user,
      timestamp: new Date(atMs).toISOString(),
      session_id: session || null,
      user_id: decoded(userId),
      source_id: decoded(sourceId),
      source_platform: platform || null,
      reason: decoded(reason),
    }
    addEntity(schema, data, work)
  }
}

const wanted: ReadonlySet<string> = new Set(['_sp'])
const userColumn = columnOf('refr_domain_userid')

const decoded = (text: string | undefined): string | null =>
  text ? Buffer.from(text, 'base64url').toString('utf8') || null : null
