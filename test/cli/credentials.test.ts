/** Who a command is to Kafka: a password by reference, a certificate; and what is said to whoever is not let in. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { HttpProxy } from '../http-proxy.ts'
import { ownKafka, registryForTests } from '../parts.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

const run = promisify(execFile)
const password = 'a secret of the tests'
const folder = await temporaryFolder()
const at = (name: string): string => join(folder.path, name)
const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: folder.path })

/** `<name>.key`, `<name>.crt`: signed by `<by>`, or by itself. */
async function certify(name: string, by: string | null): Promise<void> {
  const subject = ['-subj', `/CN=${name}`, '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`]
  if (by === null) {
    await openssl('req', '-x509', '-days', '2', ...subject, '-out', `${name}.crt`)
  } else {
    await openssl('req', '-new', ...subject, '-out', `${name}.csr`)
    await writeFile(at(`${name}.ext`), 'subjectAltName=IP:127.0.0.1\n')
    const signer = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial']
    const request = ['-in', `${name}.csr`, '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-days', '2', ...request, ...signer, '-out', `${name}.crt`)
  }
}

for (const [name, by] of [
  ['authority', null],
  ['stranger', null],
  ['broker', 'authority'],
  ['client', 'authority'],
  ['foreign', 'stranger'],
] as const)
  await certify(name, by)
const { stdout: keyStore } = await run('cat', [at('broker.key'), at('broker.crt'), at('authority.crt')])
await writeFile(at('broker.pem'), keyStore)

const url = await registryForTests()
const kafka = await ownKafka({
  users: { alice: password },
  tls: { keyStore: at('broker.pem'), trustStore: at('authority.crt') },
})
afterAll(async () => {
  await kafka?.stop()
  await folder.remove()
})

describe.skipIf(!kafka || !url)('Kafka lets in', () => {
  const diff = (brokers: string, ...more: readonly string[]) =>
    millrace(['topics', 'diff', '--brokers', brokers, '--registry', url!, ...more])
  const refusal =
    'check the user, password and certificates given for Kafka, and the rights \\(ACLs\\) of that user\\.\n$'

  test('who has the password, from a variable or a file', async () => {
    const alice = ['--sasl', 'scram-sha-512', '--sasl-user', 'alice']
    process.env['KAFKA_PASSWORD'] = password
    expect(await diff(kafka!.saslBrokers, ...alice)).toMatchObject({ status: 0, stderr: '' })
    delete process.env['KAFKA_PASSWORD']
    await writeFile(at('password'), `${password}\n`)
    const fromFile = [...alice, '--sasl-password-file', at('password')]
    const place = ['--brokers', kafka!.saslBrokers, '--registry', url!, ...fromFile]
    await millraceJson(['topics', 'apply', ...place])
    expect(await millrace(['dump', 'profiles', ...place])).toMatchObject({ status: 0 })

    const without = await diff(kafka!.saslBrokers, ...alice)
    expect(without).toMatchObject({
      status: 2,
      stderr: 'millrace: --sasl needs --sasl-user, and the password in KAFKA_PASSWORD or with --sasl-password-file\n',
    })
    await writeFile(at('password'), 'wrong')
    for (const command of [
      ['topics', 'diff', ...place],
      ['dump', 'profiles', ...place],
      ['run', '--all', '--port', '0', '--data', at('data'), ...place],
    ]) {
      const { status, stderr } = await millrace(command)
      expect([status, stderr]).toEqual([
        2,
        expect.stringMatching(new RegExp(`^millrace: cannot connect to Kafka: .*authentication.*; ${refusal}`, 'i')),
      ])
      expect(stderr).not.toContain('wrong')
    }
  }, 120_000)

  test('who has a certificate of the one it trusts, and is trusted', async () => {
    const known = ['--tls-ca', at('authority.crt')]
    const as = (name: string) => ['--tls-cert', at(`${name}.crt`), '--tls-key', at(`${name}.key`)]
    expect(await diff(kafka!.tlsBrokers, ...known, ...as('client'))).toMatchObject({ status: 0, stderr: '' })
    for (const [what, flags] of Object.entries({
      'no certificate': known,
      'one of a stranger': [...known, ...as('foreign')],
      'a broker of a stranger': ['--tls-ca', at('stranger.crt'), ...as('client')],
      'a broker of nobody': ['--tls', ...as('client')],
    })) {
      const { status, stderr } = await diff(kafka!.tlsBrokers, ...flags)
      expect([status, stderr], what).toEqual([
        2,
        expect.stringMatching(new RegExp(`^millrace: cannot connect to Kafka: .*certificate.*; ${refusal}`, 'i')),
      ])
    }
  }, 120_000)

  test('and the registry, where it asks', async () => {
    const proxy = await HttpProxy.before(url!)
    proxy.answer = 401
    const { status, stderr } = await millrace([
      'run',
      '--all',
      '--port',
      '0',
      '--data',
      at('data'),
      ...['--brokers', kafka!.brokers, '--registry', proxy.url],
    ])
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/^millrace: the schema registry at \S+ does not let us in: .*; give the user .*\n$/),
    ])
    await proxy.close()
  }, 60_000)
})
