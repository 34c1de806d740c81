/**
 * The patterns of schemas. A stranger chooses the text and an author the pattern, so neither may make the other run for
 * long: a pattern whose matching is linear for plain reasons runs on JavaScript's engine, which backtracks; every other
 * one on RE2's, which is linear for all it takes.
 */
import { RE2JS } from 're2js'

/** Whether a text has a match, anywhere in it. Takes time linear in the text. */
export type Pattern = { test(text: string): boolean }

/** What a pattern says that is not understood here, or cannot be matched in bounded time. */
export class PatternError extends Error {}

/**
 * Reads a pattern as Java does, whose schemas these are: `\s` and `\w` are ASCII, `.` stops at every line terminator, `$`
 * also matches before a last one, inline flags are understood. Look-ahead is taken where it stands at the very beginning,
 * behind `^`; look-behind, other look-ahead, backreferences and possessive quantifiers throw a PatternError.
 */
export function patternOf(source: string): Pattern {
  const { node, flags } = new Parser(source).parse()
  const parts = conjunction(node)
  const patterns = parts.map(({ node, wanted }) => ({ wanted, matcher: matcherOf(node, flags) }))
  const [only] = patterns
  if (patterns.length === 1 && only!.wanted) return only!.matcher
  return { test: (text) => patterns.every(({ wanted, matcher }) => matcher.test(text) === wanted) }
}

type Flags = { readonly i: boolean; readonly s: boolean; readonly m: boolean }

type Node =
  | { readonly kind: 'set'; readonly ranges: readonly Range[]; readonly properties: readonly string[] }
  /** `end` is Java's `$`; `last` the very end. */
  | { readonly kind: 'start' | 'end' | 'last' | 'word' | 'noWord' }
  | { readonly kind: 'all'; readonly of: readonly Node[] }
  | { readonly kind: 'any'; readonly of: readonly Node[] }
  | { readonly kind: 'repeat'; readonly of: Node; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly kind: 'ahead'; readonly of: Node; readonly wanted: boolean }
  | { readonly kind: 'flagged'; readonly of: Node; readonly flags: Flags }

/** Code points, both ends included. */
type Range = readonly [from: number, to: number]

// --- how it is matched ---

function matcherOf(node: Node, flags: Flags): Pattern {
  const { ways, degree } = waysOf(node)
  const anchored = node.kind === 'all' && node.of[0]?.kind === 'start'
  const linear = degree + (anchored ? 0 : 1) <= 1 && ways <= linearWaysMax
  if (!flags.m && (linear || (anchored && isDecided(node, [], flags.i)))) {
    return new RegExp(textOf(node, javaScript, flags), flags.i ? 'iu' : 'u')
  }
  try {
    const re2 = RE2JS.compile(`${flags.i ? '(?i)' : ''}${textOf(node, re2Dialect, flags)}`)
    return { test: (text) => re2.test(text) }
  } catch (error) {
    throw new PatternError(`it cannot be matched in bounded time: ${(error as Error).message}`)
  }
}

/** In how many ways a backtracking engine may try a node: at most `ways` times the text's length to the power `degree`. */
type Ways = { readonly ways: number; readonly degree: number; readonly empty: boolean }

const linearWaysMax = 64
const endless: Ways = { ways: 1, degree: Number.POSITIVE_INFINITY, empty: true }

function waysOf(node: Node): Ways {
  switch (node.kind) {
    case 'set':
      return { ways: 1, degree: 0, empty: false }
    case 'start':
    case 'last':
    case 'word':
    case 'noWord':
      return { ways: 1, degree: 0, empty: true }
    case 'end':
      return { ways: 3, degree: 0, empty: true }
    case 'all': {
      const of = node.of.map(waysOf)
      return {
        ways: of.reduce((product, { ways }) => product * ways, 1),
        degree: of.reduce((sum, { degree }) => sum + degree, 0),
        empty: of.every(({ empty }) => empty),
      }
    }
    case 'any': {
      const of = node.of.map(waysOf)
      return {
        ways: of.reduce((sum, { ways }) => sum + ways, 0),
        degree: Math.max(...of.map(({ degree }) => degree)),
        empty: of.some(({ empty }) => empty),
      }
    }
    case 'repeat': {
      const { min, max } = node
      const of = waysOf(node.of)
      if (max === 1) return { ways: of.ways + 1 - min, degree: of.degree, empty: of.empty || min === 0 }
      if (of.ways > 1 || of.degree > 0 || of.empty) return endless
      if (max === Number.POSITIVE_INFINITY) return { ways: 1, degree: 1, empty: min === 0 }
      // a long bounded repetition counts as one without a bound, which it is no worse than
      const ways = max - min + 1
      return ways <= linearWaysMax ? { ways, degree: 0, empty: min === 0 } : { ways: 1, degree: 1, empty: min === 0 }
    }
    case 'ahead':
    case 'flagged':
      return endless
  }
}

/**
 * Whether the next character decides, wherever a node has a choice (to go on or to repeat, this branch or that): then
 * whatever else a backtracking engine tries fails at once. `follow` is what may come behind the node.
 */
function isDecided(node: Node, follow: readonly Range[], caseless: boolean): boolean {
  switch (node.kind) {
    case 'all': {
      let behind = follow
      for (const part of node.of.toReversed()) {
        if (!isDecided(part, behind, caseless)) return false
        behind = isNullable(part) ? [...firstOf(part, caseless), ...behind] : firstOf(part, caseless)
      }
      return true
    }
    case 'any': {
      const firsts = node.of.map((of) =>
        isNullable(of) ? [...firstOf(of, caseless), ...follow] : firstOf(of, caseless),
      )
      const apart = firsts.every((first, at) => firsts.slice(at + 1).every((other) => areApart(first, other)))
      return apart && node.of.filter(isNullable).length <= 1 && node.of.every((of) => isDecided(of, follow, caseless))
    }
    case 'repeat': {
      const first = firstOf(node.of, caseless)
      const chosen = node.min === node.max || areApart(first, follow)
      return chosen && !isNullable(node.of) && isDecided(node.of, [...first, ...follow], caseless)
    }
    case 'ahead':
    case 'flagged':
      return false
    default:
      return true
  }
}

/** The characters a node may begin with. */
function firstOf(node: Node, caseless: boolean): readonly Range[] {
  switch (node.kind) {
    case 'set':
      if (node.properties.length > 0) return [[0, lastPoint]]
      return caseless ? node.ranges.flatMap(inEitherCase) : node.ranges
    case 'all': {
      const ends = node.of.findIndex((part) => !isNullable(part))
      return node.of.slice(0, ends < 0 ? undefined : ends + 1).flatMap((part) => firstOf(part, caseless))
    }
    case 'any':
      return node.of.flatMap((part) => firstOf(part, caseless))
    case 'repeat':
    case 'ahead':
    case 'flagged':
      return firstOf(node.of, caseless)
    default:
      return []
  }
}

function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'set':
      return false
    case 'all':
      return node.of.every(isNullable)
    case 'any':
      return node.of.some(isNullable)
    case 'repeat':
      return node.min === 0 || isNullable(node.of)
    case 'flagged':
      return isNullable(node.of)
    default:
      return true
  }
}

const areApart = (some: readonly Range[], others: readonly Range[]): boolean =>
  some.every(([from, to]) => others.every(([start, end]) => to < start || end < from))

/** Letters of ASCII have two cases; what lies beyond counts as one, which has that of `k` and `s` too. */
function inEitherCase([from, to]: Range): readonly Range[] {
  const ranges: Range[] = [[from, to]]
  const meets = (start: number, end: number) => from <= end && to >= start
  if (meets(0x41, 0x5a)) ranges.push([Math.max(from, 0x41) + 32, Math.min(to, 0x5a) + 32])
  if (meets(0x61, 0x7a)) ranges.push([Math.max(from, 0x61) - 32, Math.min(to, 0x7a) - 32])
  const beyond = [0x4b, 0x53, 0x6b, 0x73].some((code) => meets(code, code)) || to > 0x7f
  return beyond ? [...ranges, [0x4b, 0x4b], [0x53, 0x53], [0x6b, 0x6b], [0x73, 0x73], [0x80, lastPoint]] : ranges
}

/** A pattern that begins with look-ahead is several that must, or must not, match from the beginning. */
function conjunction(node: Node): readonly { readonly node: Node; readonly wanted: boolean }[] {
  if (node.kind !== 'all' || node.of[0]?.kind !== 'start') return [{ node, wanted: true }]
  const [start, ...rest] = node.of
  const aheads: { node: Node; wanted: boolean }[] = []
  while (rest[0]?.kind === 'ahead') {
    const { of, wanted } = rest.shift() as Extract<Node, { kind: 'ahead' }>
    aheads.push({ node: { kind: 'all', of: [start!, of] }, wanted })
  }
  return [...aheads, { node: { kind: 'all', of: [start!, ...rest] }, wanted: true }]
}

// --- how it is written ---

type Dialect = {
  readonly point: (code: number) => string
  readonly property: (name: string) => string
  readonly end: string
  readonly last: string
}

const javaScript: Dialect = {
  point: (code) => `\\u{${code.toString(16)}}`,
  property: (name) => (name.length <= 2 ? name : `Script=${name}`),
  end: '(?=(?:\\r\\n|[\\n\\r\\u0085\\u2028\\u2029])?$)',
  last: '$',
}
const re2Dialect: Dialect = {
  point: (code) => `\\x{${code.toString(16)}}`,
  property: (name) => name,
  end: '(?:\\r\\n|[\\n\\r\\x{85}\\x{2028}\\x{2029}])?\\z',
  last: '\\z',
}

function textOf(node: Node, dialect: Dialect, flags: Flags): string {
  const text = (of: Node): string => textOf(of, dialect, flags)
  switch (node.kind) {
    case 'set':
      return setText(node, dialect)
    case 'start':
      return flags.m ? '(?m:^)' : '^'
    case 'end':
      return flags.m ? '(?m:$)' : dialect.end
    case 'last':
      return dialect.last
    case 'word':
      return '\\b'
    case 'noWord':
      return '\\B'
    case 'all':
      return node.of.map(text).join('')
    case 'any':
      return `(?:${node.of.map(text).join('|')})`
    case 'repeat': {
      const { min, max, lazy } = node
      const count = max === Number.POSITIVE_INFINITY ? `{${min},}` : `{${min},${max}}`
      return `(?:${text(node.of)})${count}${lazy ? '?' : ''}`
    }
    case 'flagged':
      return `(?${node.flags.i ? 'i' : '-i'}:${textOf(node.of, dialect, node.flags)})`
    case 'ahead':
      throw new PatternError('look-ahead is understood at the beginning of a pattern alone, behind ^')
  }
}

function setText({ ranges, properties }: SetNode, { point, property }: Dialect): string {
  const points = ranges.map(([from, to]) => (from === to ? point(from) : `${point(from)}-${point(to)}`))
  const named = properties.map((name) =>
    name.startsWith('^') ? `\\P{${property(name.slice(1))}}` : `\\p{${property(name)}}`,
  )
  // an empty class is no class in every dialect
  const items = [...points, ...named].join('')
  return items === '' ? `[^${point(0)}-${point(lastPoint)}]` : `[${items}]`
}

// --- how it is read ---

type SetNode = Extract<Node, { kind: 'set' }>

const lastPoint = 0x10ffff
const setOf = (...ranges: readonly Range[]): SetNode => ({ kind: 'set', ranges, properties: [] })
const pointOf = (code: number): SetNode => setOf([code, code])
const digit = setOf([0x30, 0x39])
const word = setOf([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a])
const space = setOf([0x09, 0x0d], [0x20, 0x20])
const horizontal = setOf(
  [0x09, 0x09],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x180e, 0x180e],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
)
const vertical = setOf([0x0a, 0x0d], [0x85, 0x85], [0x2028, 0x2029])
const terminators = setOf([0x0a, 0x0a], [0x0d, 0x0d], [0x85, 0x85], [0x2028, 0x2029])
const upper = setOf([0x41, 0x5a])
const lower = setOf([0x61, 0x7a])
const alpha = setOf([0x41, 0x5a], [0x61, 0x7a])
const classEscapes: ReadonlyMap<string, SetNode> = new Map([
  ['d', digit],
  ['w', word],
  ['s', space],
  ['h', horizontal],
  ['v', vertical],
])
const posix: ReadonlyMap<string, SetNode> = new Map([
  ['Lower', lower],
  ['Upper', upper],
  ['ASCII', setOf([0, 0x7f])],
  ['Alpha', alpha],
  ['Digit', digit],
  ['Alnum', setOf([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a])],
  ['Punct', setOf([0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e])],
  ['Graph', setOf([0x21, 0x7e])],
  ['Print', setOf([0x20, 0x7e])],
  ['Blank', setOf([0x09, 0x09], [0x20, 0x20])],
  ['Cntrl', setOf([0, 0x1f], [0x7f, 0x7f])],
  ['XDigit', setOf([0x30, 0x39], [0x41, 0x46], [0x61, 0x66])],
  ['Space', space],
])
const controls: ReadonlyMap<string, number> = new Map([
  ['t', 0x09],
  ['n', 0x0a],
  ['r', 0x0d],
  ['f', 0x0c],
  ['a', 0x07],
  ['e', 0x1b],
])

const noFlags: Flags = { i: false, s: false, m: false }
const nestingMax = 50

class Parser {
  readonly #text: string
  #at = 0
  #flags = noFlags
  #nesting = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): { readonly node: Node; readonly flags: Flags } {
    const inline = /^\(\?([imsu]+)\)/.exec(this.#text)
    if (inline) {
      this.#at = inline[0].length
      this.#flags = flagged(noFlags, inline[1]!)
    }
    const flags = this.#flags
    const node = this.#alternatives()
    if (this.#at < this.#text.length) throw new PatternError('a ) has no (')
    return { node, flags }
  }

  #alternatives(): Node {
    if (++this.#nesting > nestingMax) throw new PatternError(`groups are nested more than ${nestingMax} deep`)
    const branches = [this.#sequence()]
    while (this.#take('|')) branches.push(this.#sequence())
    this.#nesting--
    return branches.length === 1 ? branches[0]! : { kind: 'any', of: branches }
  }

  #sequence(): Node {
    const of: Node[] = []
    while (this.#at < this.#text.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const atom = this.#atom()
      // a group that is a sequence is one with what is around it, so that what begins a pattern is seen
      const node = this.#repeated(atom)
      if (node.kind === 'all') of.push(...node.of)
      else of.push(node)
    }
    return { kind: 'all', of }
  }

  #repeated(atom: Node): Node {
    let node = atom
    for (let times = 0; ; times++) {
      const bounds = this.#quantifier()
      if (!bounds) return node
      if (times > 0) throw new PatternError('a quantifier stands behind another')
      const lazy = this.#take('?')
      if (this.#take('+')) throw new PatternError('possessive quantifiers are not understood')
      node = { kind: 'repeat', of: node, ...bounds, lazy }
    }
  }

  #quantifier(): { readonly min: number; readonly max: number } | undefined {
    const max = Number.POSITIVE_INFINITY
    if (this.#take('*')) return { min: 0, max }
    if (this.#take('+')) return { min: 1, max }
    if (this.#take('?')) return { min: 0, max: 1 }
    const counts = /^\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/.exec(this.#text.slice(this.#at, this.#at + 16))
    if (!counts) return undefined
    this.#at += counts[0].length
    const min = Number(counts[1])
    const most = counts[3] ? Number(counts[3]) : counts[2] ? max : min
    if (most < min) throw new PatternError(`the bounds ${counts[0]} are in the wrong order`)
    return { min, max: most }
  }

  #atom(): Node {
    const char = this.#next()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return this.#set()
      case '.':
        return this.#flags.s ? setOf([0, lastPoint]) : negated(terminators)
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '*':
      case '+':
      case '?':
        throw new PatternError(`there is nothing before the ${char}`)
      case '\\':
        return this.#escape()
      default:
        return pointOf(char.codePointAt(0)!)
    }
  }

  #group(): Node {
    const outside = this.#flags
    const kind = /^\?(?:(:)|(=|!)|<([A-Za-z][A-Za-z0-9]*)>|([imsu]*)(?:-([imsu]+))?(:|\)))/.exec(
      this.#text.slice(this.#at),
    )
    if (!kind && this.#peek() === '?') throw new PatternError('look-behind and atomic groups are not understood')
    this.#at += kind?.[0].length ?? 0
    const [, , ahead, , on, off, closes] = kind ?? []
    if (closes) this.#flags = flagged(flagged(outside, on ?? ''), off ?? '', false)
    if (closes === ')') {
      // for the rest of the group it stands in
      const flags = this.#flags
      return { kind: 'flagged', of: this.#alternatives(), flags }
    }
    const of = merged(this.#alternatives())
    if (!this.#take(')')) throw new PatternError('a ( is not closed')
    const flags = this.#flags
    this.#flags = outside
    if (ahead) return { kind: 'ahead', of, wanted: ahead === '=' }
    return closes ? { kind: 'flagged', of, flags } : of
  }

  /** Behind a backslash, outside of a class. */
  #escape(): Node {
    switch (this.#peek()) {
      case 'b':
        this.#at++
        return { kind: 'word' }
      case 'B':
        this.#at++
        return { kind: 'noWord' }
      case 'A':
        this.#at++
        return { kind: 'start' }
      case 'Z':
        this.#at++
        return { kind: 'end' }
      case 'z':
        this.#at++
        return { kind: 'last' }
      case 'Q': {
        const end = this.#text.indexOf('\\E', this.#at)
        const literal = this.#text.slice(this.#at + 1, end < 0 ? undefined : end)
        this.#at = end < 0 ? this.#text.length : end + 2
        return { kind: 'all', of: [...literal].map((char) => pointOf(char.codePointAt(0)!)) }
      }
      default:
        return this.#escapedSet()
    }
  }

  /** Behind a backslash, within a class or not. */
  #escapedSet(): SetNode {
    const char = this.#next()
    const named = classEscapes.get(char.toLowerCase())
    if (named) return char === char.toLowerCase() ? named : negated(named)
    if (char === 'p' || char === 'P') return this.#property(char === 'P')
    const control = controls.get(char)
    if (control !== undefined) return pointOf(control)
    if (char === 'x' || char === 'u' || char === '0' || char === 'c') return pointOf(this.#code(char))
    if (/[A-Za-z0-9]/.test(char)) throw new PatternError(`\\${char} is not understood`)
    return pointOf(char.codePointAt(0)!)
  }

  #code(kind: string): number {
    const digits = {
      x: /^(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2}))/,
      u: /^([0-9a-fA-F]{4})/,
      '0': /^([0-3]?[0-7]{1,2})/,
      c: /^([@-_])/,
    }
    const found = digits[kind as keyof typeof digits].exec(this.#text.slice(this.#at, this.#at + 8))
    if (!found) throw new PatternError(`\\${kind} is not understood`)
    this.#at += found[0].length
    const text = (found[1] ?? found[2])!
    if (kind === 'c') return text.charCodeAt(0) ^ 64
    const code = Number.parseInt(text, kind === '0' ? 8 : 16)
    if (code > lastPoint) throw new PatternError(`there is no character ${text}`)
    return code
  }

  #property(negative: boolean): SetNode {
    const found = /^(?:\{(\^?)(?:Is|script=|sc=|general_category=|gc=)?([A-Za-z_]{1,32})\}|([LMNPSZC]))/.exec(
      this.#text.slice(this.#at),
    )
    if (!found) throw new PatternError('\\p is not understood')
    this.#at += found[0].length
    const name = (found[2] ?? found[3])!
    const ascii = posix.get(name)
    if (ascii) return negative ? negated(ascii) : ascii
    const property = name === 'Alphabetic' ? 'L' : name
    try {
      new RegExp(`\\p{${javaScript.property(property)}}`, 'u')
    } catch {
      throw new PatternError(`\\p{${name}} is not understood`)
    }
    return { kind: 'set', ranges: [], properties: [negative !== (found[1] === '^') ? `^${property}` : property] }
  }

  /** Behind its opening bracket. */
  #set(): SetNode {
    const negative = this.#take('^')
    const ranges: Range[] = []
    const properties: string[] = []
    for (let first = true; ; first = false) {
      if (this.#at >= this.#text.length) throw new PatternError('a [ is not closed')
      if (this.#peek() === ']' && !first) break
      if (this.#text.startsWith('&&', this.#at)) throw new PatternError('&& within [ ] is not understood')
      const item = this.#setItem()
      const to = this.#rangeEnd(item)
      if (to === undefined) {
        ranges.push(...item.ranges)
        properties.push(...item.properties)
      } else ranges.push([item.ranges[0]![0], to])
    }
    this.#at++
    const set: SetNode = { kind: 'set', ranges, properties }
    return negative ? negated(set) : set
  }

  #setItem(): SetNode {
    const char = this.#next()
    if (char === '\\') return this.#escapedSet()
    if (char === '[' && this.#text.indexOf(']', this.#at) < this.#text.lastIndexOf(']')) return this.#set()
    return pointOf(char.codePointAt(0)!)
  }

  /** The other end, where a - follows a single character and is not the last of its class. */
  #rangeEnd(item: SetNode): number | undefined {
    const [range] = item.ranges
    const single = item.ranges.length === 1 && item.properties.length === 0 && range![0] === range![1]
    if (!single || this.#peek() !== '-' || [']', '[', ''].includes(this.#text.charAt(this.#at + 1))) return undefined
    this.#at++
    const [end, ...more] = this.#setItem().ranges
    if (!end || more.length > 0 || end[0] !== end[1]) throw new PatternError('a range within [ ] has no end')
    if (end[0] < range![0]) throw new PatternError('a range within [ ] is in the wrong order')
    return end[0]
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #next(): string {
    if (this.#at >= this.#text.length) throw new PatternError('it ends in a backslash')
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at)!)
    this.#at += char.length
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }
}

/** Branches that are a character each are one class. */
function merged(node: Node): Node {
  if (node.kind !== 'any') return node
  const sets = node.of.map((branch) => (branch.kind === 'all' && branch.of.length === 1 ? branch.of[0]! : branch))
  if (!sets.every((set) => set.kind === 'set')) return node
  const of = sets as readonly SetNode[]
  return {
    kind: 'set',
    ranges: of.flatMap(({ ranges }) => ranges),
    properties: of.flatMap(({ properties }) => properties),
  }
}

function flagged(flags: Flags, letters: string, to = true): Flags {
  const has = (letter: string): boolean => letters.includes(letter)
  return { i: has('i') ? to : flags.i, s: has('s') ? to : flags.s, m: has('m') ? to : flags.m }
}

function negated({ ranges, properties }: SetNode): SetNode {
  if (properties.length === 1 && ranges.length === 0) {
    const [name] = properties as [string]
    return { kind: 'set', ranges: [], properties: [name.startsWith('^') ? name.slice(1) : `^${name}`] }
  }
  if (properties.length > 0) throw new PatternError('[^ ] with \\p and something beside it is not understood')
  const outside: Range[] = []
  let from = 0
  for (const [start, end] of [...ranges].sort(([a], [b]) => a - b)) {
    if (start > from) outside.push([from, start - 1])
    from = Math.max(from, end + 1)
  }
  if (from <= lastPoint) outside.push([from, lastPoint])
  return { kind: 'set', ranges: outside, properties: [] }
}
