/** Once a run of tests: the folder of the parts that test/parts.ts starts, and the end of all that runs below it. */
import { mkdtempSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { down } from '../deploy/local/parts.ts'
import { claim, holderOf, LocalProcess } from '../deploy/local/process.ts'
import { settingsIn } from '../deploy/local/settings.ts'

const prefix = 'millrace-parts-'

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const abandoned = readdirSync(tmpdir())
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(tmpdir(), name))
    .filter((folder) => holderOf(ownerOf(folder)) === undefined)
  for (const folder of abandoned) await clear(folder) // of runs that were killed

  const folder = mkdtempSync(join(tmpdir(), prefix))
  await claim(ownerOf(folder))
  provide('partsFolder', folder)
  return () => clear(folder)
}

async function clear(folder: string): Promise<void> {
  // Nobody needs what they hold any more, so nothing waits for a drain.
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith('process.json')) await new LocalProcess(dirname(join(folder, path))).kill()
  }
  if (settingsIn(folder)?.with === 'docker') await down(folder, { purge: true })
  await rm(folder, { recursive: true, force: true })
}

function ownerOf(folder: string): string {
  return join(folder, 'owner.json')
}
