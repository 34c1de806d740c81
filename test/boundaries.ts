/**
 * The boundaries of the architecture, read off the sources: who may import whom, what may not be shared between tasks, and
 * where clocks and randomness have no place. Pure: paths and texts in, sentences out.
 */
import { posix } from 'node:path'

/** Path from the root of the repository, with forward slashes, to the text of the file. */
export type Sources = ReadonlyMap<string, string>

type Rule = {
  /** Files it is about: a folder that ends in a slash, or a pattern. The first rule that fits a file is the one. */
  readonly from: RegExp
  /** Modules of ours they may import. A `$1` stands for what the first group of `from` matched. */
  readonly to: readonly string[]
  /** Packages and node modules; undefined: any. */
  readonly packages?: readonly string[]
}

const pure = [
  'ajv-formats/dist/formats.js',
  'avsc',
  'big.js',
  'ipaddr.js',
  'isbot',
  're2js',
  'ua-parser-js',
  'node:crypto',
]

/** Folders end in a slash and hold all that is below them; `x/*.ts` are the files of x itself. */
const rules: readonly Rule[] = [
  { from: /^schemas\//, to: ['schemas/'] },
  {
    from: /^operators\/[^/]+\.ts$/,
    to: ['schemas/', 'runtime/operator.ts', 'runtime/errors.ts', 'operators/*.ts'],
    packages: pure,
  },
  {
    // an operator may name what the one before it passes on, and read events; nothing else of another's
    from: /^(operators\/[^/]+\/)/,
    to: [
      'schemas/',
      'runtime/operator.ts',
      'runtime/errors.ts',
      'operators/*.ts',
      'operators/event/',
      'operators/profile/update.ts',
      'operators/segment/update.ts',
      '$1',
    ],
    packages: pure,
  },
  // assembled for tests: a driver and a simulator over the memory adapter
  { from: /^runtime\/(driver\.ts|simulator\/)/, to: ['schemas/avro/', 'runtime/'] },
  {
    from: /^(runtime\/(?:memory|embedded|kafka|stores)\/)/,
    to: ['schemas/avro/', 'runtime/*.ts', '$1'],
  },
  {
    from: /^runtime\//,
    to: ['schemas/avro/', 'runtime/*.ts'],
    packages: ['avsc', 'rocksdb', 'node:fs/promises', 'node:crypto'],
  },
  { from: /^topologies\//, to: ['schemas/', 'operators/', 'runtime/topology.ts', 'topologies/'], packages: [] },
  { from: /^sources\/[^/]+\.ts$/, to: ['schemas/', 'runtime/*.ts', 'sources/*.ts'] },
  { from: /^(sources\/[^/]+\/)/, to: ['schemas/', 'runtime/*.ts', 'sources/*.ts', '$1'] },
  // the one place that knows all connectors
  { from: /^connectors\/index\.ts$/, to: ['schemas/', 'runtime/errors.ts', 'connectors/'] },
  { from: /^connectors\/[^/]+\.ts$/, to: ['schemas/', 'runtime/*.ts', 'connectors/*.ts'] },
  { from: /^(connectors\/[^/]+\/)/, to: ['schemas/', 'runtime/errors.ts', 'connectors/connector.ts', '$1'] },
  { from: /^serving\//, to: ['schemas/', 'runtime/*.ts', 'serving/'] },
  { from: /^registries\//, to: ['schemas/', 'runtime/answers.ts', 'runtime/errors.ts', 'registries/'] },
  { from: /^workspace\//, to: ['schemas/', 'runtime/errors.ts', 'workspace/'] },
  { from: /^deploy\//, to: ['runtime/errors.ts', 'deploy/'] },
  // entry points assemble
  { from: /^(api|cli|bench|bin|docs|examples|test)\/|^[^/]+\.config\.ts$/, to: ['*'] },
]

/** Tests and what they share assemble what they please; nothing else may use them, but for benchmarks. */
const isTest = (path: string): boolean => /(\.test|(^|\/)testing)\.ts$/.test(path) || path.startsWith('test/')

/** Every import that goes against an arrow, as a sentence. */
export function wrongArrows(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const rule = rules.find(({ from }) => from.test(path))
    if (!rule) return [`${path} is in no folder that test/boundaries.ts knows; give its folder a rule`]
    return importsOf(text).flatMap((specifier): string[] => {
      if (!specifier.startsWith('.')) {
        const allowed = isTest(path) || !rule.packages || rule.packages.includes(specifier)
        return allowed
          ? []
          : [`${path} → package ${specifier}: ${folderOf(path)} may import only ${listOf(rule.packages)}`]
      }
      const target = posix.join(posix.dirname(path), specifier)
      if (isTest(path)) return []
      if (isTest(target) && !path.startsWith('bench/'))
        return [`${path} → ${target}: what is for tests is used by tests alone`]
      const own = rule.to.map((place) => place.replace('$1', rule.from.exec(path)?.[1] ?? ''))
      return own.some((place) => holds(place, target))
        ? []
        : [`${path} → ${target}: ${folderOf(path)} may import only ${listOf(own)}`]
    })
  })
}

function holds(place: string, target: string): boolean {
  if (place === '*' || place === target) return true
  if (place.endsWith('/*.ts')) return `${posix.dirname(target)}/*.ts` === place
  return place.endsWith('/') && target.startsWith(place)
}

const folderOf = (path: string): string => `${posix.dirname(path)}/`
const listOf = (places: readonly string[]): string => places.join(', ') || 'none'

/** What a module imports or re-exports, types included. */
export function importsOf(text: string): string[] {
  const pattern = /^(?:import|export)\b[^'";]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm
  return [...text.matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!)
}

/** Mutable state of a module that is all the same allowed, and why. */
const sharedOnPurpose: ReadonlyMap<string, string> = new Map([
  ['runtime/partitioner.ts scratch', 'written and read within one synchronous call'],
  ['operators/ids.ts memos', 'a bounded memo of a pure function, per tenant key'],
  ['operators/graph/survey.ts questions', 'a memo of a pure function, per request: no two tasks hold the same one'],
  ['operators/validate/schema-book.ts compiled', 'a bounded memo of a pure function, per schema text'],
])

/**
 * State at the top of a module of operators or the runtime, which the tasks of one process would share: `let`, and
 * collections or buffers that are not declared read-only. A WeakMap from definitions to what is compiled of them is a memo.
 */
export function sharedState(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    if (!/^(operators|runtime)\//.test(path) || isTest(path)) return []
    return [...text.matchAll(topLevelState)].flatMap(([line, keyword, name, type, value]): string[] => {
      const readOnly =
        keyword === 'const' && (/^\s*(Readonly(Map|Set)<|readonly )/.test(type ?? '') || !mutable.test(value ?? ''))
      const memo = /^new WeakMap<Definitions,/.test(value ?? '')
      if (readOnly || memo || sharedOnPurpose.has(`${path} ${name}`)) return []
      return [
        `${path}: ${line.trim()}: tasks meet only through the log; what modules keep, all tasks of a process share`,
      ]
    })
  })
}

const topLevelState = /^(?:export )?(let|var|const) (\w+)(?::([^=\n]+(?:=>[^=\n]+)?))? ?=? ?(.*)$/gm
const mutable =
  /^(new (Map|Set|WeakMap|WeakSet|Array|\w+Array)\b|\[\]|\{\}|Object\.create\(null\)|Buffer\.alloc|Array\.from)/

/** Where the runtime meets the world; everywhere else in it, and in all operators, what happens follows from the log alone. */
const edges = /^runtime\/(clock\.ts|runner\.ts|rocksdb\.ts|embedded\/|kafka\/|stores\/)/

const ambient =
  /\b(Date\.now|Math\.random|performance\.|setTimeout|setInterval|setImmediate|process\.|randomUUID|randomBytes)|\bnew Date\(\)/
const waiting = /\b(async|await|Promise)\b/

/** Ambient clocks, randomness, timers and the environment where they have no place; in operators waiting, too. */
export function ambientInputs(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const operator = path.startsWith('operators/')
    if (isTest(path) || edges.test(path) || !(operator || path.startsWith('runtime/'))) return []
    return withoutComments(text)
      .split('\n')
      .flatMap((line, i): string[] => {
        const found = ambient.exec(line)?.[0] ?? (operator ? waiting.exec(line)?.[0] : undefined)
        return found === undefined
          ? []
          : [`${path}:${i + 1} uses ${found}: it is a function of records, state and clock`]
      })
  })
}

/** Comments blanked, lines kept. Text in quotes that looks like a comment goes too, which does no harm here. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, '')).replace(/(^|\s)\/\/.*$/gm, '')
}

/** Entries of the allow-list for which there is nothing left to allow. */
export function staleExceptions(sources: Sources): string[] {
  return [...sharedOnPurpose.keys()].filter((entry) => {
    const [path, name] = entry.split(' ')
    return !new RegExp(`^const ${name}\\b`, 'm').test(sources.get(path!) ?? '')
  })
}
