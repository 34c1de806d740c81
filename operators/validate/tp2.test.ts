import { describe, expect, test } from 'vitest'
import { payloadParameters } from '../../schemas/payload-data.ts'
import { columns } from './columns.ts'
import { newDraft } from './draft.ts'
import { Findings } from './failure.ts'
import { schemaBookOf } from './schema-book.ts'
import { definitions } from './testing.ts'
import { protocolViolations, readParams } from './tp2.ts'

const uuid = '6F1E0A52-6B3C-4A8E-9F6A-0D5A0C6F7A11'

/** Every parameter of tracker protocol 2 that has a column: parameter, text, column, value. */
const mapping: readonly (readonly [string, string, Readonly<Record<string, unknown>>])[] = [
  ['e', 'pv', { event: 'page_view' }],
  ['e', 'pp', { event: 'page_ping' }],
  ['e', 'ue', { event: 'unstruct' }],
  ['e', 'se', { event: 'struct' }],
  ['e', 'ev', { event: 'struct' }],
  ['e', 'tr', { event: 'transaction' }],
  ['e', 'ti', { event: 'transaction_item' }],
  ['e', 'ad', { event: 'ad_impression' }],
  ['ip', ' 203.0.113.9 , 10.0.0.1', { user_ipaddress: '203.0.113.9' }],
  ['aid', 'shop', { app_id: 'shop' }],
  ['p', 'headset', { platform: 'headset' }],
  ['tid', '2147483647', { txn_id: 2_147_483_647 }],
  ['tid', 'null', {}],
  ['uid', 'ada', { user_id: 'ada' }],
  ['duid', 'device', { domain_userid: 'device' }],
  ['nuid', 'network', { network_userid: 'network' }],
  ['tnuid', 'tracker', { network_userid: 'tracker' }],
  ['ua', 'Mozilla', { useragent: 'Mozilla' }],
  ['fp', '2345', { user_fingerprint: '2345' }],
  ['vid', '+007', { domain_sessionidx: 7 }],
  ['sid', uuid, { domain_sessionid: uuid.toLowerCase() }],
  ['dtm', '1700000000123', { dvce_created_tstamp: 1_700_000_000_123 }],
  ['stm', '-1', { dvce_sent_tstamp: -1 }],
  ['ttm', '0', { true_tstamp: 0 }],
  ['tna', 'sp', { name_tracker: 'sp' }],
  ['tv', 'js-4', { v_tracker: 'js-4' }],
  ['cv', 'proxy', { v_collector: 'proxy' }],
  ['lang', 'de', { br_lang: 'de' }],
  ['f_pdf', '1', { br_features_pdf: true }],
  ['f_fla', '0', { br_features_flash: false }],
  ['f_java', '1', { br_features_java: true }],
  ['f_dir', '1', { br_features_director: true }],
  ['f_qt', '1', { br_features_quicktime: true }],
  ['f_realp', '1', { br_features_realplayer: true }],
  ['f_wma', '1', { br_features_windowsmedia: true }],
  ['f_gears', '1', { br_features_gears: true }],
  ['f_ag', '1', { br_features_silverlight: true }],
  ['cookie', '1', { br_cookies: true }],
  ['cd', '24', { br_colordepth: '24' }],
  ['tz', 'Europe/Berlin', { os_timezone: 'Europe/Berlin' }],
  ['refr', 'https://a.example', { page_referrer: 'https://a.example' }],
  ['url', 'https://b.example', { page_url: 'https://b.example' }],
  ['page', 'Shoes', { page_title: 'Shoes' }],
  ['cs', 'UTF-8', { doc_charset: 'UTF-8' }],
  ['res', '1920x1080', { dvce_screenwidth: 1920, dvce_screenheight: 1080 }],
  ['ds', '1x2', { doc_width: 1, doc_height: 2 }],
  ['vp', '3x4', { br_viewwidth: 3, br_viewheight: 4 }],
  ['eid', uuid, { event_id: uuid.toLowerCase() }],
  ['se_ca', 'a', { se_category: 'a' }],
  ['se_ac', 'b', { se_action: 'b' }],
  ['se_la', 'c', { se_label: 'c' }],
  ['se_pr', 'd', { se_property: 'd' }],
  ['se_va', '1.50', { se_value: '1.50' }],
  ['ev_ca', 'a', { se_category: 'a' }],
  ['ev_ac', 'b', { se_action: 'b' }],
  ['ev_la', 'c', { se_label: 'c' }],
  ['ev_pr', 'd', { se_property: 'd' }],
  ['ev_va', '2', { se_value: '2' }],
  ['tr_id', 'o1', { tr_orderid: 'o1' }],
  ['tr_af', 'web', { tr_affiliation: 'web' }],
  ['tr_tt', '-.5', { tr_total: '-0.5' }],
  ['tr_tx', '1.2E+3', { tr_tax: '1200' }],
  ['tr_sh', '1e-7', { tr_shipping: '0.0000001' }],
  ['tr_ci', 'Bonn', { tr_city: 'Bonn' }],
  ['tr_st', 'NW', { tr_state: 'NW' }],
  ['tr_co', 'DE', { tr_country: 'DE' }],
  ['tr_cu', 'EUR', { tr_currency: 'EUR' }],
  ['ti_id', 'o1', { ti_orderid: 'o1' }],
  ['ti_sk', 's1', { ti_sku: 's1' }],
  ['ti_nm', 'Shoe', { ti_name: 'Shoe' }],
  ['ti_na', 'Shoe', { ti_name: 'Shoe' }],
  ['ti_ca', 'shoes', { ti_category: 'shoes' }],
  ['ti_pr', '0012345678901234567890.10', { ti_price: '12345678901234567890.1' }],
  ['ti_qu', '3', { ti_quantity: 3 }],
  ['ti_cu', 'EUR', { ti_currency: 'EUR' }],
  ['pp_mix', '1', { pp_xoffset_min: 1 }],
  ['pp_max', '2', { pp_xoffset_max: 2 }],
  ['pp_miy', '3', { pp_yoffset_min: 3 }],
  ['pp_may', '-4', { pp_yoffset_max: -4 }],
]

function read(params: Readonly<Record<string, string>>) {
  const findings = new Findings()
  const draft = newDraft()
  readParams(draft, params, { book: schemaBookOf(definitions), atMs: 0 }, findings)
  const set = Object.entries(draft).filter(
    ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
  )
  return { set: Object.fromEntries(set), findings }
}

test.each(mapping)('%s=%s', (parameter, text, expected) => {
  const { set, findings } = read({ [parameter]: text })
  expect(set).toEqual(expected)
  expect([...findings.parse, ...findings.schema, ...findings.lengths]).toEqual([])
})

test('nothing is left out: a payload may have 80 parameters, those with a column, of an envelope, or without either', () => {
  expect(payloadParameters.size).toBe(80)
  const mapped = new Set(mapping.map(([parameter]) => parameter).filter((name) => payloadParameters.has(name)))
  const others = [...payloadParameters].filter((name) => !mapped.has(name))
  expect(others.sort()).toEqual(
    [
      'ad_ad',
      'ad_ba',
      'ad_ca',
      'ad_uid',
      'co',
      'ctype',
      'cx',
      'mac',
      'sa',
      'sn',
      'sp',
      'st',
      'ue_na',
      'ue_pr',
      'ue_px',
    ].sort(),
  )
})

describe('what cannot be converted is named by its parameter', () => {
  test.each([
    ['e', 'pageview', 'Not a valid event type'],
    ['p', 'fridge', 'Not a valid platform'],
    ['tid', '2147483648', 'Cannot be converted to java.lang.Integer'],
    ['vid', '1.0', 'Cannot be converted to java.lang.Integer'],
    ['ti_qu', '9'.repeat(400), 'Cannot be converted to java.lang.Integer'],
    ['f_pdf', 'true', 'Cannot be converted to a boolean: 0 or 1 is expected'],
    ['tr_tt', '1,50', 'Cannot be converted to java.math.BigDecimal'],
    ['tr_tt', '1e101', 'Cannot be converted to java.math.BigDecimal'],
    ['tr_tt', '0x10', 'Cannot be converted to java.math.BigDecimal'],
    ['tr_tt', '1'.repeat(129), 'Cannot be converted to java.math.BigDecimal'],
    ['tr_tt', 'NaN', 'Cannot be converted to java.math.BigDecimal'],
    ['eid', `{${uuid}}`, 'Not a valid UUID'],
    ['sid', 'x', 'Not a valid UUID'],
    ['dtm', '2024-01-01', 'Cannot be converted to a timestamp of the years 0 to 9999'],
    ['res', '10', 'Does not conform to <width>x<height>'],
    ['vp', '99999999999x1', 'Does not conform to <width>x<height>'],
    ['ds', '9999999999x1', 'Cannot be converted to java.lang.Integer'],
  ])('%s=%s', (parameter, text, message) => {
    const { set, findings } = read({ [parameter]: text })
    expect(findings.parse).toEqual([{ message, path: parameter, keyword: 'atomic_field_parse_error', targets: [] }])
    expect(Object.keys(set).filter((name) => !name.startsWith('doc_'))).toEqual([])
  })
})

test('a text of a column is as long as the column’s limit, in UTF-16 units, and no longer', () => {
  for (const [parameter, , expected] of mapping) {
    const column = columns.get(Object.keys(expected)[0] ?? '')
    if (column?.type !== 'string' || ['e', 'p', 'sid'].includes(parameter)) continue
    expect(read({ [parameter]: 'x'.repeat(column.maxLength) }).findings.lengths).toEqual([])
    expect(read({ [parameter]: `😀${'x'.repeat(column.maxLength - 1)}` }).findings.lengths).toMatchObject([
      { path: column.name, message: `Field is longer than maximum allowed size ${column.maxLength}` },
    ])
  }
})

test('an event that keeps to the protocol has nothing to report', () => {
  expect(protocolViolations({ e: 'pv', p: 'web', tv: 'x', sp: '', ue_na: '' }, 0)).toEqual([])
})
