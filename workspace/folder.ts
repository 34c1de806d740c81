/** The files of a workspace folder, read within bounds. */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { byText } from './canonical.ts'
import { hint, type Problem, quote } from './problem.ts'

/** Texts by path below the workspace, with forward slashes. */
export type Files = {
  readonly root: ReadonlyMap<string, string>
  readonly traits: ReadonlyMap<string, string>
  readonly segments: ReadonlyMap<string, string>
  readonly destinations: ReadonlyMap<string, string>
  /** By path below `schemas/`. */
  readonly schemas: ReadonlyMap<string, string>
}

const requiredFiles = ['millrace.yaml', 'identity.yaml', 'consent.yaml'] as const
const optionalFiles = ['collector.yaml', 'enrichments.yaml', 'referers.yaml', 'iglu.json'] as const
const rootFiles: readonly string[] = [...requiredFiles, ...optionalFiles]
const folders = ['traits', 'segments', 'destinations', 'schemas'] as const

const fileBytesMax = 131_072
/** Of a file that is a list of others' making. */
const listBytesMax = 524_288
const filesMax = 1_000
const schemaDepth = 4

/** Reads all files; what is missing, misnamed or too large goes to `problems`. */
export async function readFiles(folder: string, problems: Problem[]): Promise<Files> {
  const report = (file: string, found: string, expected: string) => {
    problems.push({ file, line: null, column: null, path: '', found, expected })
  }
  const reader = new Reader(folder, report)
  const entries = await reader.list('')
  if (!entries) report('.', 'no folder that can be read', 'a workspace: a folder with millrace.yaml')
  for (const { name } of entries ?? []) {
    const known: readonly string[] = name.includes('.') ? rootFiles : folders
    const near = hint(name, known)
    const misnamed = /\.ya?ml$/.test(name) || near !== ''
    if (!known.includes(name) && misnamed) report(name, quote(name), `one of ${known.join(', ')}${near}`)
  }
  const root = new Map<string, string>()
  for (const name of entries ? rootFiles : []) {
    if (entries!.some((entry) => entry.name === name)) {
      const text = await reader.text(name, name === 'referers.yaml' ? listBytesMax : fileBytesMax)
      if (text !== undefined) root.set(name, text)
    } else if (requiredFiles.some((required) => required === name)) report(name, 'no such file', `a file ${name}`)
  }
  const present = new Set(entries?.map(({ name }) => name))
  const yaml = async (name: (typeof folders)[number]) =>
    present.has(name) ? reader.yaml(name) : new Map<string, string>()
  return {
    root,
    traits: await yaml('traits'),
    segments: await yaml('segments'),
    destinations: await yaml('destinations'),
    schemas: present.has('schemas') ? await reader.schemas() : new Map(),
  }
}

type Report = (file: string, found: string, expected: string) => void

class Reader {
  readonly #folder: string
  readonly #report: Report
  #files = 0

  constructor(folder: string, report: Report) {
    this.#folder = folder
    this.#report = report
  }

  /** Entries in order of name, hidden ones left out; null when the folder cannot be read. */
  async list(path: string): Promise<readonly Dirent[] | null> {
    try {
      const entries = await readdir(join(this.#folder, path), { withFileTypes: true })
      return entries.filter(({ name }) => !name.startsWith('.')).sort((a, b) => byText(a.name, b.name))
    } catch {
      return null
    }
  }

  /** Undefined after a problem was noted. */
  async text(path: string, bytesMax = fileBytesMax): Promise<string | undefined> {
    this.#files++
    if (this.#files > filesMax) {
      if (this.#files === filesMax + 1) this.#report(path, `more than ${filesMax} files`, 'at most as many')
      return undefined
    }
    try {
      const file = await stat(join(this.#folder, path))
      if (!file.isFile()) {
        this.#report(path, 'what is no plain file', 'a text file in UTF-8')
        return undefined
      }
      const { size } = file
      if (size > bytesMax) {
        this.#report(path, `${size} bytes`, `at most ${bytesMax}`)
        return undefined
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(join(this.#folder, path)))
    } catch (error) {
      const found =
        error instanceof TypeError
          ? 'bytes that are no UTF-8'
          : `what cannot be read (${(error as NodeJS.ErrnoException).code})`
      this.#report(path, found, 'a text file in UTF-8')
      return undefined
    }
  }

  /** The YAML files right in a folder. */
  async yaml(folder: string): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string>()
    const entries = await this.list(folder)
    if (!entries) this.#report(folder, 'what is no folder', 'a folder of YAML files')
    for (const { name } of entries ?? []) {
      const path = `${folder}/${name}`
      if (name.endsWith('.md')) continue
      if (!name.endsWith('.yaml')) {
        this.#report(path, quote(name), 'a file whose name ends in .yaml')
        continue
      }
      const text = await this.text(path)
      if (text !== undefined) texts.set(path, text)
    }
    return texts
  }

  async schemas(): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string>()
    const walk = async (below: string, depth: number): Promise<void> => {
      for (const entry of (await this.list(`schemas/${below}`)) ?? []) {
        if (this.#files > filesMax) return
        const path = below === '' ? entry.name : `${below}/${entry.name}`
        if (entry.isDirectory() && depth < schemaDepth) await walk(path, depth + 1)
        else if (!entry.name.endsWith('.md')) {
          const text = entry.isDirectory() ? '' : await this.text(`schemas/${path}`)
          if (text !== undefined) texts.set(path, text)
        }
      }
    }
    await walk('', 1)
    return texts
  }
}
