import { expect, test } from 'vitest'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { payloadParameters } from '../../schemas/payload-data.ts'
import { parameterColumns } from './parameters.ts'

const contractNames = contract.map(({ name }) => name)
const fromParameters = new Set(Object.values(parameterColumns).flat())

/** Columns that no parameter sets, by who does. Nobody: Snowplow has given them up, or they are of enrichments we do not have. */
const fromElsewhere = {
  validate: [
    ...['etl_tstamp', 'collector_tstamp', 'derived_tstamp', 'v_etl', 'event_fingerprint'],
    ...['event_vendor', 'event_name', 'event_format', 'event_version'],
    ...['page_urlscheme', 'page_urlhost', 'page_urlport', 'page_urlpath', 'page_urlquery', 'page_urlfragment'],
    ...['refr_urlscheme', 'refr_urlhost', 'refr_urlport', 'refr_urlpath', 'refr_urlquery', 'refr_urlfragment'],
  ],
  enrichments: [
    ...['refr_medium', 'refr_source', 'refr_term', 'refr_domain_userid', 'refr_dvce_tstamp', 'derived_contexts'],
    ...['mkt_medium', 'mkt_source', 'mkt_term', 'mkt_content', 'mkt_campaign', 'mkt_clickid', 'mkt_network'],
    ...['br_name', 'br_family', 'br_version', 'br_type', 'br_renderengine'],
    ...['os_name', 'os_family', 'os_manufacturer', 'dvce_type', 'dvce_ismobile'],
  ],
  nobody: [
    ...['geo_country', 'geo_region', 'geo_city', 'geo_zipcode', 'geo_latitude', 'geo_longitude', 'geo_region_name'],
    ...['ip_isp', 'ip_organization', 'ip_domain', 'ip_netspeed', 'geo_timezone', 'etl_tags'],
    ...['tr_total_base', 'tr_tax_base', 'tr_shipping_base', 'ti_price_base', 'base_currency'],
  ],
}

test('the contract has 131 columns, and each is set by a parameter or by something else that is named', () => {
  expect(contract).toHaveLength(131)
  const elsewhere = Object.values(fromElsewhere).flat()
  expect(elsewhere.filter((name) => fromParameters.has(name as never))).toEqual([])
  expect([...fromParameters, ...elsewhere].sort()).toEqual([...contractNames].sort())
})

test('75 parameters have a column; a POST may have 69 of them, and 11 that Snowplow has no column for either', () => {
  const querystringOnly = ['cv', 'ev_ca', 'ev_ac', 'ev_la', 'ev_pr', 'ev_va']
  const columnless = ['ue_na', 'mac', 'ctype', 'ad_ba', 'ad_ca', 'ad_ad', 'ad_uid', 'sa', 'sn', 'st', 'sp']
  const mapped = Object.keys(parameterColumns)
  expect(mapped).toHaveLength(75)
  expect([...mapped.filter((name) => !querystringOnly.includes(name)), ...columnless].sort()).toEqual(
    [...payloadParameters].sort(),
  )
})
