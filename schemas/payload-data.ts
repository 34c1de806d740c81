/**
 * What a tracker may send in one event of a POST: the properties of
 * iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4, all of them texts.
 */
export const payloadParameters: ReadonlySet<string> = new Set(
  `e p aid tna tv tid uid duid nuid tnuid ip ua fp vid sid dtm stm ttm eid
   lang cookie cd tz cs res ds vp url page refr mac ctype
   f_pdf f_fla f_java f_dir f_qt f_realp f_wma f_gears f_ag
   co cx ue_pr ue_px ue_na se_ca se_ac se_la se_pr se_va
   tr_id tr_af tr_tt tr_tx tr_sh tr_ci tr_st tr_co tr_cu
   ti_id ti_sk ti_nm ti_na ti_ca ti_pr ti_qu ti_cu
   pp_mix pp_max pp_miy pp_may ad_ba ad_ca ad_ad ad_uid sa sn st sp`.split(/\s+/),
)

export const requiredParameters = ['tv', 'p', 'e'] as const
