/** enrichments.yaml: what is added to events on their way in, and what of them is hidden. What it does not name is not done. */
import { z } from 'zod'
import {
  type CampaignRule,
  defaultEnrichments,
  type EnrichmentRules,
  hashAlgorithms,
  type PathStep,
  type PseudonymData,
  type PseudonymRule,
  pseudonymColumns,
  type RefererSource,
} from '../schemas/definitions.ts'
import { timestampMs } from '../schemas/timestamp.ts'
import { describe, hint, quote } from './problem.ts'
import { choice, flag, list, mapping, text, whole } from './shape.ts'
import type { Path, Source } from './source.ts'

const parameterName = text('the name of a parameter of the tracker protocol', 64)
const queryName = text('the name of a parameter of the page’s querystring', 128)
const host = 'a host such as shop.example, or *.shop.example for its subdomains'

const fingerprintShape = mapping({
  algorithm: choice(...hashAlgorithms).default('MD5'),
  exclude: z.array(parameterName, { error: 'a list of parameters' }).max(100, { error: 'at most 100' }).optional(),
})

const referersShape = mapping({
  internalDomains: list(
    text(host, 253).regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/i, { error: host }),
    'hosts',
    500,
  ).default([]),
})

const queryNames = list(queryName, 'parameters', 20).optional()
const campaignsShape = mapping({
  medium: queryNames,
  source: queryNames,
  term: queryNames,
  content: queryNames,
  campaign: queryNames,
  clickIds: z
    .record(queryName, text('the network whose click ids these are', 64), {
      error: 'a mapping of parameters to networks',
    })
    .optional(),
})

const addressShape = mapping({ octets: whole(1, 4).default(1), segments: whole(1, 8).default(5) })

const saltExpected =
  '{ env: NAME_OF_A_VARIABLE }, and a time `from` in later ones: the salt itself stays out of files and log'
const variable = /^[A-Z][A-Z0-9_]{0,127}$/

const criterion = 'a schema such as iglu:com.acme/user/jsonschema/1-*-*'
const pseudonymsShape = mapping({
  algorithm: choice(...hashAlgorithms).default('SHA-256'),
  salts: list(z.unknown(), saltExpected, 50),
  anonymousOnly: flag.default(false),
  columns: list(text('the name of a column', 64), 'columns', pseudonymColumns.length).default([]),
  data: list(
    mapping({
      schema: text(criterion, 512).regex(/^iglu:[\w.-]+\/[\w-]+\/[\w-]+\/(\d+|\*)-(\d+|\*)-(\d+|\*)$/, {
        error: criterion,
      }),
      paths: list(text('a JSONPath such as $.email', 256), 'JSONPaths', 50),
    }),
    'schemas with paths',
  ).default([]),
})

const fileShape = mapping({
  fingerprint: fingerprintShape.optional(),
  userAgent: flag.default(false),
  referers: z.unknown().optional(),
  campaigns: z.unknown().optional(),
  crossNavigation: flag.default(false),
  cookies: list(text('the name of a cookie', 128), 'names of cookies').default([]),
  headers: list(text('the name of a header', 128), 'names of headers').default([]),
  bots: flag.default(false),
  ipAnonymisation: z.unknown().optional(),
  pseudonyms: pseudonymsShape.optional(),
})

/** With the referrers of referers.yaml, if there is one. Null after a problem was noted. */
export function readEnrichments(source: Source, listed: readonly RefererSource[]): EnrichmentRules | null {
  const file = source.value === undefined ? null : source.read(fileShape, [], source.value)
  if (!file) return null
  const referers = switched('referers', referersShape, file.referers, source)
  const campaigns = switched('campaigns', campaignsShape, file.campaigns, source)
  const address = switched('ipAnonymisation', addressShape, file.ipAnonymisation, source)
  const pseudonyms = file.pseudonyms === undefined ? null : readPseudonyms(file.pseudonyms, source)
  if ([referers, campaigns, address, pseudonyms].includes(undefined)) return null
  const { fingerprint = defaultEnrichments.fingerprint } = file
  return {
    fingerprint: {
      algorithm: fingerprint.algorithm,
      exclude: fingerprint.exclude ?? defaultEnrichments.fingerprint.exclude,
    },
    userAgent: file.userAgent,
    referers: referers
      ? { internalDomains: referers.internalDomains.map((domain) => domain.toLowerCase()), sources: listed }
      : null,
    campaigns: campaigns ? campaignsOf(campaigns) : null,
    crossNavigation: file.crossNavigation,
    cookies: file.cookies,
    headers: file.headers.map((name) => name.toLowerCase()),
    bots: file.bots,
    ipAnonymisation: address ?? null,
    pseudonyms: pseudonyms ?? null,
  }
}

/** Settings under a key that may also just say whether it is to be done: null when it is not, undefined after a problem. */
function switched<T>(key: string, shape: z.ZodType<T>, value: unknown, source: Source): T | null | undefined {
  if (value === undefined || value === false) return null
  if (typeof value === 'object' && value !== null) return source.read(shape, [key], value) ?? undefined
  if (value === true) return shape.parse({})
  source.report([key], describe(value), 'true, false, or a mapping of its settings')
  return undefined
}

function campaignsOf(written: z.infer<typeof campaignsShape>): CampaignRule {
  const clickIds = written.clickIds ?? { gclid: 'Google', msclkid: 'Microsoft', dclid: 'DoubleClick' }
  return {
    medium: written.medium ?? ['utm_medium'],
    source: written.source ?? ['utm_source'],
    term: written.term ?? ['utm_term'],
    content: written.content ?? ['utm_content'],
    campaign: written.campaign ?? ['utm_campaign'],
    clickIds: Object.entries(clickIds).map(([parameter, network]) => ({ parameter, network })),
  }
}

type Salt = { readonly env?: unknown; readonly from?: unknown }

/** Undefined after a problem was noted. */
function readPseudonyms(written: z.infer<typeof pseudonymsShape>, source: Source): PseudonymRule | undefined {
  let sound = true
  const refuse = (path: Path, found: string, expected: string) => {
    sound = false
    source.report(['pseudonyms', ...path], found, expected)
  }
  let beforeMs = Number.NEGATIVE_INFINITY
  const salts = written.salts.map((value, index) => {
    const { env, from, ...others } = typeof value === 'object' && value !== null ? (value as Salt) : {}
    const fromMs = from === undefined ? null : typeof from === 'string' ? timestampMs(from) : undefined
    if (typeof env !== 'string' || !variable.test(env) || Object.keys(others).length > 0) {
      // what was found is not repeated, as it may be the salt
      refuse(['salts', index], 'no reference', saltExpected)
    } else if (index === 0 && fromMs !== null) {
      refuse(['salts', 0, 'from'], describe(from), 'nothing: the first is for all time before')
    } else if (index > 0 && (fromMs === null || fromMs === undefined || fromMs <= beforeMs)) {
      const expected = 'a time later than that of the salt before, such as 2026-01-01T00:00:00Z'
      refuse(['salts', index, 'from'], describe(from), expected)
    }
    beforeMs = fromMs ?? beforeMs
    return { env: String(env), fromMs: fromMs ?? null }
  })
  const known: readonly string[] = pseudonymColumns
  written.columns.forEach((name, index) => {
    if (known.includes(name)) return
    refuse(['columns', index], quote(name), `one of ${known.join(', ')}${hint(name, known)}`)
  })
  const data = written.data.map(({ schema, paths }, index): PseudonymData => {
    const steps = paths.map((path, at) => {
      const parsed = stepsOf(path)
      if (!parsed) refuse(['data', index, 'paths', at], quote(path), pathExpected)
      return parsed ?? []
    })
    return { criterion: schema, paths: steps }
  })
  if (written.columns.length === 0 && data.length === 0) refuse([], 'neither columns nor data', 'what is to be hidden')
  if (!sound) return undefined
  const { algorithm, anonymousOnly } = written
  return { algorithm, salts, anonymousOnly, columns: written.columns as PseudonymRule['columns'], data }
}

const pathExpected =
  "a JSONPath of .name, ['name'], [0], [*] and at most one ..name, such as $.email or $.people[*].email"
const stepPattern = /\.\.([A-Za-z_][\w-]*)|\.\*|\[\*\]|\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^']+)'\]|\["([^"]+)"\]/y

function stepsOf(path: string): readonly PathStep[] | null {
  if (!path.startsWith('$')) return null
  const steps: PathStep[] = []
  for (let at = 1; at < path.length; at = stepPattern.lastIndex) {
    stepPattern.lastIndex = at
    const step = stepPattern.exec(path)
    if (!step) return null
    const [, anywhere, plain, index, single, double] = step
    const name = plain ?? single ?? double
    if (anywhere !== undefined) steps.push({ step: 'anywhere', name: anywhere })
    else if (name !== undefined) steps.push({ step: 'member', name })
    else steps.push(index === undefined ? { step: 'every' } : { step: 'index', index: Number(index) })
  }
  const searches = steps.filter(({ step }) => step === 'anywhere').length
  return steps.length === 0 || searches > 1 ? null : steps
}
