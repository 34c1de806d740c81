import { cp, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exampleWorkspace } from '../../cli/package.ts'
import { millrace, Running, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

describe('help', () => {
  test.each([
    [['--help']],
    [['start', '--help']],
    [['demo', '--help']],
    [['ingest', '--help']],
    [['dump', '--help']],
    [['dead', 'list', '--help']],
    [['dead', 'show', '--help']],
    [['dead', 'replay', '--help']],
    [['replay', '--help']],
    [['replay', 'compare', '--help']],
    [['profile', '--help']],
    [['profile', 'get', '--help']],
    [['topology', '--help']],
    [['up', '--help']],
    [['down', '--help']],
    [['parts', '--help']],
    [['topics', 'diff', '--help']],
    [['topics', 'apply', '--help']],
    [['schemas', 'lint', '--help']],
    [['schemas', 'get', '--help']],
    [['schemas', 'validate', '--help']],
    [['schemas', 'publish', '--help']],
    [['schemas', 'refresh', '--help']],
  ])('millrace %s', async (args) => {
    const { status, stdout, stderr } = await millrace(args)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: millrace/)
    if (args.length > 1 && args[0] !== 'profile') expect(stdout).toContain('Examples:')
  })

  test('an unknown command or option says so and ends with 2', async () => {
    for (const args of [['nonsense'], ['demo', '--nonsense'], ['demo', '--events', 'many'], ['ingest', 'file']]) {
      const { status, stderr } = await millrace(args)
      expect({ args, status }).toEqual({ args, status: 2 })
      expect(stderr).toMatch(/^error: /)
    }
  })
})

describe('what cannot be ends with one sentence and 2', () => {
  test('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const ended = await millrace(['start', '--port', String(port), '--data', join(folder.path, 'port')])
    server.close()
    expect(ended.status).toBe(2)
    expect(ended.stderr).toMatch(new RegExp(`^millrace: port ${port} .*; choose another port .*\\n$`))
  })

  test('a folder that cannot be written', async () => {
    const file = join(folder.path, 'a-file')
    await writeFile(file, '')
    for (const args of [
      ['start', '--port', '0'],
      ['demo', '--events', '1'],
    ]) {
      const ended = await millrace([...args, '--data', join(file, 'below')])
      expect(ended.status).toBe(2)
      expect(ended.stderr).toMatch(
        /^millrace: cannot make the data folder .*a-file\/below: ENOTDIR; give a folder .*\n$/,
      )
    }
  })

  test('a folder in use by another process', async () => {
    const data = join(folder.path, 'used')
    const running = new Running(['--no-demo', '--data', data])
    await running.url()
    for (const args of [
      ['start', '--port', '0'],
      ['dump', 'profiles'],
      ['profile', 'get', 'email:a@b.example'],
    ]) {
      const ended = await millrace([...args, '--data', data])
      expect(ended.status).toBe(2)
      expect(ended.stderr).toMatch(/^millrace: the data folder .*\/used\/log is in use by another process; stop .*\n$/)
    }
    expect((await running.end()).status).toBe(0)
  })

  test('a broken workspace: all its problems, and nothing is made', async () => {
    const workspace = join(folder.path, 'workspace')
    await cp(exampleWorkspace, workspace, { recursive: true })
    await writeFile(
      join(workspace, 'segments', 'broken.yaml'),
      "one:\n  description: x\n  when: profile.countri == 'DE'\ntwo:\n  description: y\n  when: count('purchase'\n",
    )
    const data = join(folder.path, 'untouched')
    for (const command of ['start', 'demo', 'topology']) {
      const ended = await millrace([
        command,
        '--workspace',
        workspace,
        ...(command === 'topology' ? [] : ['--data', data]),
      ])
      expect(ended.status).toBe(2)
      expect(ended.stderr).toContain('2 problems')
      expect(ended.stderr).toContain('segments/broken.yaml:3')
      expect(ended.stderr).toContain('segments/broken.yaml:6')
    }
    await mkdir(data) // fails if a run had made it
  })

  test('a data folder of another seed, or of another demo', async () => {
    const data = join(folder.path, 'seed')
    const demo = (...args: string[]) => millrace(['demo', '--events', '20', '--visitors', '5', '--data', data, ...args])
    expect((await demo('--seed', '1')).status).toBe(0)
    const otherSeed = await demo('--seed', '2')
    expect([otherSeed.status, otherSeed.stderr]).toEqual([2, expect.stringContaining('another tenant key')])
    const otherLength = await demo('--seed', '1', '--events', '21')
    expect([otherLength.status, otherLength.stderr]).toEqual([1, expect.stringContaining('holds another history')])
  })
})

test('what is not there ends with a code and a remedy, and 1', async () => {
  const nothing = await millrace(['dump', 'profiles', '--data', join(folder.path, 'nothing')])
  expect(nothing).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^millrace: there is no data in .*nothing yet; .*\n.* \(NOT_FOUND\)\n$/),
  })
  const file = await millrace([
    'ingest',
    join(folder.path, 'none'),
    '--format',
    'tp2',
    '--data',
    join(folder.path, 'in'),
  ])
  expect([file.status, file.stderr]).toEqual([1, expect.stringContaining('there is no such file')])
})
