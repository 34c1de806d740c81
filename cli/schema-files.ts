/** Schemas in files: one, or all below a folder. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { MillraceError } from '../runtime/errors.ts'

export type SchemaFile = {
  readonly file: string
  /** What its place says it is; null: its place says nothing. */
  readonly key: string | null
  readonly text: string
}

const filesMax = 20_000
const bytesMax = 1_000_000
const place = /([a-zA-Z0-9_.-]{1,128})\/([a-zA-Z0-9_-]{1,128})\/jsonschema\/([1-9]\d{0,8}-\d{1,9}-\d{1,9})$/

/** In order of path. INPUT_INVALID when there is no such file or folder, or no schema in it. */
export async function schemaFiles(path: string): Promise<readonly SchemaFile[]> {
  const found = await stat(path).catch(() => null)
  if (!found) throw new MillraceError('INPUT_INVALID', `there is no file or folder ${path}`)
  const files = found.isDirectory() ? await filesBelow(path) : [path]
  const schemas: SchemaFile[] = []
  for (const file of files) {
    const parts = place.exec(resolve(file).split(sep).join('/'))
    if (!parts && found.isDirectory()) continue
    const { size } = await stat(file)
    if (size > bytesMax) throw new MillraceError('INPUT_INVALID', `${file} has ${size} bytes; no schema is that large`)
    const key = parts && `iglu:${parts[1]}/${parts[2]}/jsonschema/${parts[3]}`
    schemas.push({ file, key, text: await readFile(file, 'utf8') })
  }
  if (schemas.length > 0) return schemas
  throw new MillraceError('INPUT_INVALID', `there is no schema below ${path}: vendor/name/jsonschema/1-0-0`)
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  if (entries.length > filesMax)
    throw new MillraceError('INPUT_INVALID', `there are more than ${filesMax} files below ${folder}`)
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
