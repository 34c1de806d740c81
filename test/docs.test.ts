/** What the documentation says of the program is so: links lead somewhere, tables and examples agree with the code. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { allTopics } from '../runtime/topology.ts'
import { customerData } from '../topologies/customer-data.ts'
import { loadWorkspace } from '../workspace/workspace.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]

test.each(pages)('the links of %s lead to files and headings that are there', (page) => {
  const broken = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^https?:/.test(target) && !leads(page, target))
  expect(broken).toEqual([])
})

function leads(page: string, target: string): boolean {
  const [path, anchor] = target.split('#')
  const file = path ? join(dirname(page), path) : page
  if (!existsSync(join(root, file))) return false
  return anchor === undefined || headingsOf(read(file)).includes(anchor)
}

/** As GitHub makes anchors of headings. */
function headingsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('the table of topics in ARCHITECTURE.md is that of the topology', () => {
  const kept = { compact: 'compacted', month: '30 days', ever: 'for ever' }
  const declared = allTopics(customerData(['<destination>'])).map((topic) => {
    const keeps = topic.cleanup === 'compact' ? kept.compact : topic.retentionMs === null ? kept.ever : kept.month
    const name = topic.name.replace(/^(identify|graph|profile)\.(changelog|dead)$/, '<stage>.$2')
    return `${name}: ${Object.keys(topic.kinds).join(', ')}; ${keeps}`
  })
  const written = [...read('docs/ARCHITECTURE.md').matchAll(/^\| `([^`]+)` +\| [^|]+ \| ([^|]+) \| ([^|]+) \|$/gm)].map(
    ([, name, kinds, keeps]) => `${name}: ${kinds!.replace(/ \(.*\)/, '').trim()}; ${keeps!.trim()}`,
  )
  expect(new Set(written)).toEqual(new Set(declared))
})

test('the segment of the README is a segment of the example workspace', async () => {
  const segment = /^```yaml\n(.*?)^```/ms.exec(read('README.md'))![1]!
  const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  try {
    cpSync(join(root, 'examples/retail'), folder, { recursive: true })
    writeFileSync(join(folder, 'segments', 'sneaker_fans.yaml'), segment)
    const { segments } = await loadWorkspace(folder)
    expect(segments.map(({ id }) => id)).toContain('sneaker_fans')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the glossary has each word once, in order', () => {
  for (const table of read('docs/GLOSSARY.md').split(/^## /m)) {
    const words = [...table.matchAll(/^\| \*\*(.+?)\*\* +\|/gm)].map(([, word]) => word!)
    expect(words).toEqual([...new Set(words)].sort((a, b) => a.localeCompare(b, 'en')))
  }
})
