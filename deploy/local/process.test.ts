import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { LocalProcess, locked } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-process-'))
afterAll(() => rmSync(folder, { recursive: true }))

const node = (script: string) => ({ file: process.execPath, args: ['-e', script] })

test('a process is found again by another object, and by nobody once it has ended', async () => {
  const started = new LocalProcess(join(folder, 'found'))
  await started.start(node('setInterval(() => {}, 1000)'))
  const found = new LocalProcess(join(folder, 'found'))
  expect(found.running).toBe(true)
  found.signal('SIGSTOP') // stop() gets through to what is paused
  await found.stop(5000)
  expect([started.running, found.running]).toEqual([false, false])
  await found.stop(5000)
})

test('a pid that was given again is not the process', async () => {
  const own = new LocalProcess(join(folder, 'reused'))
  await own.start(node('setInterval(() => {}, 1000)'))
  const file = join(own.folder, 'process.json')
  const identity = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...identity, pid: process.pid }))
  expect(own.running).toBe(false)
  writeFileSync(file, JSON.stringify(identity))
  await own.kill()
})

test('what hears no SIGTERM is killed', async () => {
  const deaf = new LocalProcess(join(folder, 'deaf'))
  await deaf.start(node("process.on('SIGTERM', () => {}); console.log('deaf'); setInterval(() => {}, 1000)"))
  await deaf.answering(async () => readFileSync(deaf.log, 'utf8').includes('deaf'), 5000)
  await deaf.stop(200)
  expect(deaf.running).toBe(false)
})

test('one that ends, or never answers, fails with the end of what it said', async () => {
  const failing = new LocalProcess(join(folder, 'failing'))
  await failing.start(node("console.error('no such disk'); process.exit(1)"))
  const never = async (): Promise<boolean> => false
  await expect(failing.answering(never, 10_000)).rejects.toThrow(/failing ended while it started;.*\nno such disk/s)
  const silent = new LocalProcess(join(folder, 'silent'))
  await silent.start(node('setInterval(() => {}, 1000)'))
  await expect(silent.answering(never, 100)).rejects.toMatchObject({ code: 'PART_FAILED' })
  await silent.kill()
})

test('a lock lets in one at a time, and outlives nobody', async () => {
  const file = join(folder, 'lock')
  writeFileSync(file, JSON.stringify({ pid: 1, mark: 'of a process that ended' }))
  let inside = 0
  let most = 0
  await Promise.all(
    Array.from({ length: 5 }, () =>
      locked(file, 10_000, async () => {
        most = Math.max(most, ++inside)
        await sleep(20)
        inside--
      }),
    ),
  )
  expect(most).toBe(1)
  await locked(file, 1000, async () => {
    await expect(locked(file, 100, async () => {})).rejects.toMatchObject({ code: 'DATA_LOCKED' })
  })
})
