/** Campaign attribution: which campaign brought the visitor, by the page's querystring. */
import type { CampaignRule, Definitions } from '../../../schemas/definitions.ts'
import { type ColumnName, columnOf, setColumn } from '../columns.ts'
import type { Enrichment } from './enrichment.ts'
import { queryValues } from './query.ts'

/** Sets `mkt_*`. Of the parameters configured for a column the first that has a value is taken. */
export function campaigns({ enrichments: { campaigns: rule } }: Definitions): Enrichment | null {
  if (!rule) return null
  const wanted = new Set([...fields.flatMap(([field]) => rule[field]), ...rule.clickIds.map((id) => id.parameter)])
  return (draft, { findings }) => {
    if (draft.page_urlquery === null) return
    const values = queryValues(draft.page_urlquery, wanted)
    if (!values) return
    for (const [field, column] of fields) {
      if (draft[column.name] !== null) continue
      const parameter = rule[field].find((name) => values.has(name))
      if (parameter !== undefined) setColumn(draft, column, values.get(parameter)!, findings)
    }
    const click = draft.mkt_clickid === null && rule.clickIds.find(({ parameter }) => values.has(parameter))
    if (click) {
      setColumn(draft, clickColumn, values.get(click.parameter)!, findings)
      setColumn(draft, networkColumn, click.network, findings)
    }
  }
}

type Field = Exclude<keyof CampaignRule, 'clickIds'>

const columnNames: Readonly<Record<Field, ColumnName>> = {
  medium: 'mkt_medium',
  source: 'mkt_source',
  term: 'mkt_term',
  content: 'mkt_content',
  campaign: 'mkt_campaign',
}
const fields = (Object.keys(columnNames) as Field[]).map((field) => [field, columnOf(columnNames[field])] as const)
const clickColumn = columnOf('mkt_clickid')
const networkColumn = columnOf('mkt_network')
