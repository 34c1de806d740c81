/** One YAML file of a workspace: its values, and where each of them stands, for problems to point at. */
import { isMap, isNode, isScalar, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import type { z } from 'zod'
import { describe, type Problem, quote } from './problem.ts'
import type { TextProblem } from './syntax.ts'

export type Path = readonly (string | number)[]

/** A named part of a file: the key, and the value under it as plain data. */
export type Entry = { readonly id: string; readonly value: unknown; readonly source: Source }

/** Anchors may be repeated so often before the file is refused. */
const aliasesMax = 100
const depthMax = 32
const entriesMax = 1_000

export class Source {
  readonly file: string
  readonly #text: string
  readonly #root: Node | null
  readonly #lines = new LineCounter()
  readonly #problems: Problem[]
  /** The file as plain data; undefined when it is no YAML. */
  readonly value: unknown

  /** Parses; what is wrong goes to `problems`. */
  constructor(file: string, text: string, problems: Problem[]) {
    this.file = file
    this.#text = text
    this.#problems = problems
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, stringKeys: true })
    this.#root = document.contents
    for (const error of document.errors.slice(0, 20)) {
      this.#report(error.pos[0], '', lowerFirst(error.message), 'well-formed YAML')
    }
    if (document.errors.length > 0) return
    try {
      const value: unknown = document.toJS({ maxAliasCount: aliasesMax })
      if (deeperThan(value, depthMax)) this.#report(0, '', `more than ${depthMax} levels`, 'at most as many')
      else if (hasInfinity(value)) this.#report(0, '', 'a number that is infinite or none', 'finite numbers')
      else this.value = value
    } catch {
      this.#report(
        0,
        '',
        `more than ${aliasesMax} repetitions of anchors, or one that is not there`,
        'anchors used sparingly',
      )
    }
  }

  /** The named parts of a file that is a mapping of names to definitions. */
  entries(): readonly Entry[] {
    if (this.value === undefined) return []
    if (!isMap(this.#root) || this.#root.items.length === 0) {
      this.report([], describe(this.value), 'a mapping of names to definitions')
      return []
    }
    if (this.#root.items.length > entriesMax) {
      this.report([], `${this.#root.items.length} definitions`, `at most ${entriesMax} in a file`)
      return []
    }
    const value = this.value as Record<string, unknown>
    return Object.keys(value).map((id) => ({ id, value: value[id], source: this }))
  }

  /** Notes a problem with the value at a path. */
  report(path: Path, found: string, expected: string): void {
    this.#report(this.#nodeAt(path)?.range?.[0] ?? 0, dotted(path), found, expected)
  }

  /** Notes a problem with the key at the end of a path, rather than with its value. */
  reportKey(path: Path, found: string, expected: string): void {
    const above = this.#nodeAt(path.slice(0, -1))
    const key: unknown = isMap(above) ? pairOf(above, String(path.at(-1)))?.key : above
    this.#report(isNode(key) ? (key.range?.[0] ?? 0) : 0, dotted(path), found, expected)
  }

  /** Notes problems within the text at a path, each at its own place in the file where that can be told. */
  reportText(path: Path, problems: readonly TextProblem[]): void {
    const node = this.#nodeAt(path)
    for (const { start, found, expected } of problems) {
      this.#report(node ? this.#offsetWithin(node, start) : 0, dotted(path), found, expected)
    }
  }

  /**
   * The value at a path under a shape; null when it does not fit, after noting why. Keys that do not belong are noted
   * and left out, so that what stands beside them is still looked at.
   */
  read<T>(shape: z.ZodType<T>, path: Path, value: unknown): T | null {
    const result = shape.safeParse(value)
    if (result.success) return result.data
    const { issues } = result.error
    const trimmed: unknown = structuredClone(value)
    for (const issue of issues) {
      const at = [...path, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))]
      if (issue.code === 'unrecognized_keys') {
        const holder = valueAt(trimmed, issue.path) as Record<string, unknown>
        for (const key of issue.keys) {
          this.reportKey([...at, key], `the key ${quote(key)}`, issue.message)
          delete holder[key]
        }
      } else this.report(at, describe(valueAt(value, issue.path)), issue.message)
    }
    if (!issues.every(({ code }) => code === 'unrecognized_keys')) return null
    const rest = shape.safeParse(trimmed)
    return rest.success ? rest.data : null
  }

  #report(offset: number, path: string, found: string, expected: string): void {
    const { line, col } = this.#text === '' ? { line: 1, col: 1 } : this.#lines.linePos(offset)
    this.#problems.push({ file: this.file, line, column: col, path, found, expected })
  }

  /** The node at a path, or the nearest above it: the key, where the path ends in one that has no value. */
  #nodeAt(path: Path): Node | null {
    let node = this.#root
    for (const part of path) {
      const below: unknown = isMap(node)
        ? pointedAt(pairOf(node, String(part)))
        : (node as { get?: (at: unknown, keep: true) => unknown })?.get?.(part, true)
      if (!isNode(below)) return node
      node = below
    }
    return node
  }

  /**
   * Where the character `index` of a scalar's text stands in the file. The two differ in white space only, by
   * indentation and folded lines, so the other characters are counted off; the start of the scalar where they differ
   * otherwise, as escapes do.
   */
  #offsetWithin(node: Node, index: number): number {
    if (!isScalar(node) || typeof node.value !== 'string' || !node.range) return node.range?.[0] ?? 0
    const [start, end] = node.range
    const block = node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL'
    const quoted = node.type === 'QUOTE_SINGLE' || node.type === 'QUOTE_DOUBLE'
    let at = block ? this.#text.indexOf('\n', start) : quoted ? start + 1 : start
    for (const character of node.value.slice(0, index).replace(/\s/g, '')) {
      while (isSpace(this.#text[at])) at++
      if (at >= end || !this.#text.startsWith(character, at)) return start
      at += character.length
    }
    if (index < node.value.trimEnd().length) while (isSpace(this.#text[at])) at++
    return at
  }
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
}

/** The value of a pair, or its key where it has none to point at. */
function pointedAt(pair: Pair | undefined): unknown {
  return isNode(pair?.value) && !(isScalar(pair.value) && pair.value.value === null) ? pair.value : pair?.key
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && /\s/.test(character)
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<PropertyKey, unknown>)[part]
  }
  return at
}

export function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => deeperThan(member, levels - 1))
}

/** Whether a number is in it that JSON cannot say: infinite, or none. */
export function hasInfinity(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(hasInfinity)
  return typeof value === 'number' && !Number.isFinite(value)
}

function dotted(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
