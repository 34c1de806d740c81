import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { takeStateFolder } from './identity.ts'

test('a state folder has one process at a time, and keeps its name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-identity-'))
  const first = await takeStateFolder(folder)
  await expect(takeStateFolder(folder)).rejects.toMatchObject({ code: 'DATA_LOCKED' })
  await first.close()
  const again = await takeStateFolder(folder)
  expect(again.process).toBe(first.process)
  await again.close()
  await rm(folder, { recursive: true })
})
