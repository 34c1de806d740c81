/**
 * Once a run of tests: where the processes of the tests ask for parts in containers, the folder of those that test/parts.ts
 * starts from jars, and the end of all of them.
 */
import { once } from 'node:events'
import { mkdtempSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { claim, holderOf, LocalProcess } from '../deploy/local/process.ts'
import { Containers } from './containers.ts'

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

  // The containers belong to this process, which outlives those of the tests.
  const containers = new Containers()
  const server = createServer((_request, response) => {
    containers.addresses().then(
      (addresses) => response.end(JSON.stringify(addresses)),
      (error) => response.writeHead(500).end(String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  provide('containersUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return async () => {
    server.close()
    await containers.stop()
    await clear(folder)
  }
}

async function clear(folder: string): Promise<void> {
  // Nobody needs what they hold any more, so nothing waits for a drain.
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith('process.json')) await new LocalProcess(dirname(join(folder, path))).kill()
  }
  await rm(folder, { recursive: true, force: true })
}

function ownerOf(folder: string): string {
  return join(folder, 'owner.json')
}
