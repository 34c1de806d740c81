import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ambientInputs, importsOf, type Sources, sharedState, staleExceptions, wrongArrows } from './boundaries.ts'

const root = new URL('../', import.meta.url)
const outside = new Set(['node_modules', 'dist', 'coverage'])

const repository: Sources = new Map(
  readdirSync(root, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && !outside.has(name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? readdirSync(new URL(`${entry.name}/`, root), { recursive: true, encoding: 'utf8' }).map(
            (file) => `${entry.name}/${file}`,
          )
        : [entry.name],
    )
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, readFileSync(new URL(path, root), 'utf8')]),
)

describe('the repository', () => {
  test('has no import against an arrow', () => expect(wrongArrows(repository)).toEqual([]))

  test('keeps no state that tasks would share', () => {
    expect(sharedState(repository)).toEqual([])
    expect(staleExceptions(repository)).toEqual([])
  })

  test('has no ambient clock, randomness or timer in operators and the runtime', () => {
    expect(ambientInputs(repository)).toEqual([])
  })

  test('is read at all', () => {
    const folders = new Set([...repository.keys()].map((path) => path.split('/')[0]))
    expect([...folders]).toEqual(
      expect.arrayContaining(['operators', 'runtime', 'schemas', 'sources', 'connectors', 'topologies']),
    )
  })
})

describe('a boundary', () => {
  const arrows = (path: string, text: string) => wrongArrows(new Map([[path, text]]))

  test.each([
    ['schemas/definitions.ts', "import { invariant } from '../runtime/errors.ts'"],
    ['operators/segment/segment.ts', "import type { Log } from '../../runtime/log.ts'"],
    ['operators/segment/segment.ts', "import { view } from '../profile/view.ts'"],
    ['operators/segment/segment.ts', "import { readFileSync } from 'node:fs'"],
    ['operators/event/event.ts', "import { validate } from '../validate/validate.ts'"],
    ['runtime/task.ts', "import { graph } from '../operators/graph/graph.ts'"],
    ['runtime/task.ts', "import { MemoryLog } from './memory/log.ts'"],
    ['runtime/task.ts', "import type { Definitions } from '../schemas/definitions.ts'"],
    ['runtime/memory/log.ts', "import { Block } from '../embedded/block.ts'"],
    ['sources/files/reader.ts', "import { createCollector } from '../collector/collector.ts'"],
    ['sources/files/reader.ts', "import { validate } from '../../operators/validate/validate.ts'"],
    ['connectors/file/file.ts', "import { signatureOf } from '../webhook/signature.ts'"],
    ['connectors/runner.ts', "import { customerData } from '../topologies/customer-data.ts'"],
    ['topologies/customer-data.ts', "import { Task } from '../runtime/task.ts'"],
    ['workspace/workspace.ts', "import { EventReader } from '../operators/event/event.ts'"],
    ['cli/start.ts', "import { deliveries } from '../connectors/testing.ts'"],
    ['utils/things.ts', ''],
  ])('names what is wrong in %s: %s', (path, text) => {
    const [sentence, ...more] = arrows(path, text)
    expect(sentence).toContain(path)
    expect(more).toEqual([])
  })

  test.each([
    ['operators/segment/segment.ts', "import type { ProfileUpdate } from '../profile/update.ts'"],
    ['operators/segment/segment.test.ts', "import { profile } from '../profile/profile.ts'"],
    ['runtime/simulator/simulator.ts', "import { MemoryLog } from '../memory/log.ts'"],
    ['connectors/index.ts', "import { createFileConnector } from './file/file.ts'"],
    ['cli/start.ts', "import { customerData } from '../topologies/customer-data.ts'"],
  ])('has nothing against %s: %s', (path, text) => expect(arrows(path, text)).toEqual([]))

  test('sees imports in every form', () => {
    const text = [
      "import a, { type B } from './a.ts'",
      'import {',
      '  c,',
      "} from './c.ts'",
      "export * from './d.ts'",
      "export type { E } from './e.ts'",
      "import './f.ts'",
      "const g = await import('./g.ts')",
      "const text = 'from here'",
    ].join('\n')
    expect(importsOf(text)).toEqual(['./a.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts'])
  })

  test.each([
    ['let seen = 0', 1],
    ['export let seen = 0', 1],
    ['const seen = new Map<string, number>()', 1],
    ['export const seen: Map<string, string> = new Map()', 1],
    ['const seen: string[] = []', 1],
    ['const buffer = Buffer.allocUnsafe(10)', 1],
    ['const compiled = new WeakMap<Definitions, Rules>()', 0],
    ["const names: ReadonlySet<string> = new Set(['a'])", 0],
    ['const names: readonly string[] = []', 0],
    ["const names = ['a', 'b'] as const", 0],
    ['function f() {\n  let i = 0\n  const local = new Map()\n}', 0],
  ])('tells shared state: %s', (text, count) => {
    expect(sharedState(new Map([['operators/graph/graph.ts', text]]))).toHaveLength(count)
  })

  test.each([
    ['operators/graph/graph.ts', 'const atMs = Date.now()', 1],
    ['operators/graph/graph.ts', 'const day = new Date(atMs).getUTCDay()', 0],
    ['operators/graph/graph.ts', 'const now = new Date()', 1],
    ['operators/graph/graph.ts', '// no Date.now() here\n/* nor\n Math.random() */', 0],
    ['operators/graph/graph.ts', 'export async function f() {}', 1],
    ['runtime/task.ts', 'export async function f() {}', 0],
    ['runtime/task.ts', 'setTimeout(f, 1)', 1],
    ['runtime/runner.ts', 'setTimeout(f, 1)', 0],
    ['cli/start.ts', 'process.exit(2)', 0],
  ])('tells ambient inputs in %s: %s', (path, text, count) => {
    expect(ambientInputs(new Map([[path, text]]))).toHaveLength(count)
  })
})
