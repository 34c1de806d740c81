/**
 * referers.yaml: referrers to know beside the built-in ones, in the format of the referer-parser projects:
 * medium → source → { domains, parameters }. JSON is YAML too.
 */
import { z } from 'zod'
import type { RefererSource } from '../schemas/definitions.ts'
import { byText } from './canonical.ts'
import { entries, list, mapping, text } from './shape.ts'
import type { Source } from './source.ts'

const mediaMax = 20
const sourcesMax = 5_000

const domainExpected = 'a host such as search.example, with or without a path, or google.* for every country’s'
const sourceShape = mapping({
  domains: list(
    text(domainExpected, 253).regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?(\/\S*)?$/i, { error: domainExpected }),
    'domains',
    2_000,
  ),
  parameters: z
    .array(text('a parameter of the referrer’s querystring', 128), { error: 'a list of parameters' })
    .max(50, { error: 'at most 50 parameters' })
    .default([]),
})

/** In the order of the file; null after a problem was noted. */
export function readReferers(source: Source): readonly RefererSource[] | null {
  const media = source.value === undefined ? null : source.read(entries(mediaMax, 'media'), [], source.value)
  if (!media) return null
  const referers: RefererSource[] = []
  let sound = true
  for (const [medium, value] of Object.entries(media)) {
    const sources = source.read(entries(sourcesMax, 'sources'), [medium], value)
    if (!sources) sound = false
    for (const [name, value] of Object.entries(sources ?? {})) {
      const referer = source.read(sourceShape, [medium, name], value)
      if (!referer) sound = false
      else {
        const domains = [...new Set(referer.domains.map((domain) => lowerHost(domain)))].sort(byText)
        referers.push({ medium, source: name, domains, parameters: referer.parameters })
      }
    }
  }
  return sound ? referers : null
}

/** Hosts have no case, paths do. */
function lowerHost(domain: string): string {
  const slash = domain.indexOf('/')
  return slash < 0 ? domain.toLowerCase() : domain.slice(0, slash).toLowerCase() + domain.slice(slash)
}
