/**
 * docker-compose.yml and what it mounts, as far as they can be checked without an engine: the shape of the file, and
 * that every path, port, variable, service and command which one place names is there in the other.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { customerData } from '../topologies/customer-data.ts'
import { millrace } from './cli/millrace.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const readYaml = (path: string) => parse(read(path), { merge: true })

// What we use of the Compose Specification, and nothing beyond: a misspelt key is an error.
const duration = z.string().regex(/^\d+(ms|s|m)$/)
const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).optional(),
  ports: z
    .array(z.string().regex(/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/, 'only this machine, host port by variable'))
    .optional(),
  volumes: z.array(z.string().regex(/^[^:]+(:-[^}]*\})?:\/[^:]+(:ro)?$/)).optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({ condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']) }),
    )
    .optional(),
  healthcheck: z
    .union([
      z.strictObject({
        test: z.tuple([z.literal('CMD')], z.string()),
        interval: duration,
        timeout: duration,
        retries: z.number().int().positive(),
      }),
      z.strictObject({ disable: z.literal(true) }),
    ])
    .optional(),
  deploy: z.strictObject({ replicas: z.number().int().positive() }).optional(),
  restart: z.enum(['no', 'unless-stopped']),
  stop_grace_period: duration.optional(),
})
const composeFile = z.strictObject({
  'x-millrace': z.unknown(),
  'x-stage': z.unknown(),
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.strictObject({})),
})

/** What /metrics has, without the prefix; all of it is on the dashboard. */
const metrics = new Set([
  'records_in_total',
  'records_out_total',
  'records_bad_total',
  'records_dead_total',
  'consumer_lag_records',
  'commit_seconds',
  'commit_aborts_total',
  'fenced_total',
  'restore_remaining_records',
  'restore_records_per_second',
  'standby_lag_records',
  'overlay_bytes',
  'event_loop_lag_seconds',
  'end_to_end_seconds',
])

const text = read('docker-compose.yml')
const { services, volumes } = composeFile.parse(readYaml('docker-compose.yml'))
const entries = Object.entries(services)
const ours = entries.filter(([, { image }]) => image === 'millrace:local')
const optionOf = (command: readonly string[] = [], name: string) => command[command.indexOf(name) + 1]

/** The ports a service listens on inside: those of ours by their option, Kafka's by its listeners, others as published. */
function portsOf(name: string): readonly string[] {
  const { command, environment, ports = [] } = services[name]!
  if (command?.includes('--port')) return [optionOf(command, '--port')!]
  const listeners = environment?.['KAFKA_LISTENERS']?.matchAll(/:(\d+)/g)
  return listeners ? [...listeners].map(([, port]) => port!) : ports.map((port) => port.split(':').at(-1)!)
}

/** What is published must be something that the service listens on, and each is published where no other is. */
test('ports', () => {
  for (const [name, { ports = [] }] of entries)
    for (const port of ports) expect(portsOf(name), name).toContain(port.split(':').at(-1))
  const published = [...text.matchAll(/127\.0\.0\.1:\$\{([A-Z_]+):-(\d+)\}:/g)]
  for (const part of [1, 2]) {
    const all = published.map((match) => match[part])
    expect(new Set(all).size).toBe(all.length)
  }
})

test('every variable has a default, but those that the shell of a container reads', () => {
  const variables = [...text.replaceAll('$$', '').matchAll(/\$\{?([A-Za-z_]\w*)(:-[^}]*\})?/g)]
  expect(variables.length).toBeGreaterThan(5)
  expect(variables.filter(([, , otherwise]) => !otherwise).map(([variable]) => variable)).toEqual([])
})

test('every address leads to a port of a service', () => {
  const named = entries.flatMap(([name, { environment = {} }]) =>
    Object.entries(environment).flatMap(([variable, value]) =>
      variable === 'KAFKA_LISTENERS' || variable === 'KAFKA_LISTENER_SECURITY_PROTOCOL_MAP'
        ? []
        : [...value.matchAll(/(?:^|\/\/|@)([a-z]+):(\d+)/g)].map(([, to, port]) => ({ name, to: to!, port: port! })),
    ),
  )
  expect(named.map(({ to }) => to)).toEqual(expect.arrayContaining(['kafka', 'registry', 'redis']))
  for (const { name, to, port } of named) expect(portsOf(to), `${name} → ${to}:${port}`).toContain(port)
})

test('every path and every volume is there', () => {
  const used = new Set<string>()
  for (const [name, { volumes: mounts = [], build }] of entries) {
    if (build) expect(existsSync(join(root, build.context, build.dockerfile))).toBe(true)
    for (const mount of mounts) {
      const source = mount.replace(/\$\{\w+:-([^}]+)\}/, '$1').split(':')[0]!
      if (source.startsWith('.')) expect(existsSync(join(root, source)), `${name}: ${source}`).toBe(true)
      else used.add(source)
    }
  }
  expect([...used].sort()).toEqual(Object.keys(volumes).sort())
})

test('who waits for another waits for what there is', () => {
  for (const [name, { depends_on = {} }] of entries) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const target = services[other]
      expect(target, `${name} → ${other}`).toBeDefined()
      if (condition === 'service_healthy') expect(target?.healthcheck).toHaveProperty('test')
      if (condition === 'service_completed_successfully') expect(target?.restart).toBe('no')
    }
  }
})

test('every stage of the topology is a service with two replicas', () => {
  const stages = customerData([]).stages.map(({ name }) => name)
  const served = ours.filter(([, { command }]) => command?.[0] === 'run')
  expect(served.map(([name]) => name).sort()).toEqual([...stages].sort())
  for (const [name, { command, deploy }] of served) {
    expect([optionOf(command, '--stage'), deploy?.replicas]).toEqual([name, 2])
  }
})

/** Commands that docker-compose.yml uses ahead of the program; none is left when the runtime on Kafka is whole. */
describe('the program knows command and options of', () => {
  test.for(ours)('%s', async ([, { command = [] }]) => {
    const options = command.filter((word) => word.startsWith('--'))
    const [name, ...more] = command.slice(0, command.indexOf(options[0]!))
    const { stdout: all } = await millrace(['--help'])
    expect(all).toMatch(new RegExp(`^  ${name} `, 'm'))
    const { status, stdout: help } = await millrace([name!, ...more, '--help'])
    expect(status).toBe(0)
    for (const option of options) expect(help).toMatch(new RegExp(`^ +(-\\w, )?${option}\\b`, 'm'))
  })
})

describe('Dockerfile', () => {
  const instructions = read('deploy/Dockerfile').replaceAll(/\\\n\s*/g, '')

  test('copies what is there, or what its first stage makes', () => {
    const made = ['node_modules', 'dist']
    const sources = [...instructions.matchAll(/^COPY (?:--\S+ )?(.+) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '))
    expect(sources.length).toBeGreaterThan(5)
    for (const source of sources.map((path) => path.replace('/app/', '')))
      expect(made.includes(source) || existsSync(join(root, source)), source).toBe(true)
  })

  test('runs as nobody in particular, owns its data, and is asked for its health', () => {
    expect(instructions).toMatch(/^USER node$/m)
    for (const [, { command }] of ours)
      if (command?.includes('--data')) expect(instructions).toContain(`VOLUME ${optionOf(command, '--data')}`)
    expect(instructions).toMatch(/^HEALTHCHECK .*\/healthz/m)
    for (const [name, { command, environment }] of ours) {
      if (!command?.includes('--port')) continue
      expect(environment?.['HEALTH_PORT'] ?? '8125', name).toBe(optionOf(command, '--port'))
    }
  })
})

test('deliveries are a service with two replicas, which is given the secrets that the example names', () => {
  const { command, deploy, environment = {} } = services['deliver']!
  expect([command?.[0], deploy?.replicas]).toEqual(['deliver', 2])
  const folder = join(root, 'examples/retail/destinations')
  const secrets = readdirSync(folder).flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/env: (\w+)/g)].map(([, variable]) => variable),
  )
  expect(secrets.length).toBeGreaterThan(0)
  expect(Object.keys(environment)).toEqual(expect.arrayContaining(secrets))
})

test('Prometheus asks every service of ours that stays, on its port', () => {
  type Job = { dns_sd_configs: { names: string[]; port: number }[] }
  const jobs: Job[] = readYaml('deploy/prometheus/prometheus.yml').scrape_configs
  const asked = jobs.flatMap(({ dns_sd_configs }) =>
    dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
  )
  const listening = ours.filter(([, { restart }]) => restart !== 'no').map(([name]) => `${name}:${portsOf(name)[0]}`)
  expect(asked.sort()).toEqual(listening.sort())
})

describe('Grafana', () => {
  const provisioning = 'deploy/grafana/provisioning'
  const [source] = readYaml(`${provisioning}/datasources/prometheus.yml`).datasources
  const dashboards = readdirSync(join(root, 'deploy/grafana/dashboards'))
  const mounts = new Map(
    services['grafana']!.volumes!.map((mount) => mount.split(':').slice(0, 2).reverse() as [string, string]),
  )

  test('finds Prometheus, its provisioning and its dashboards', () => {
    const { hostname, port } = new URL(source.url)
    expect(portsOf(hostname)).toContain(port)
    expect(mounts.get('/etc/grafana/provisioning')).toBe(`./${provisioning}`)
    const [provider] = readYaml(`${provisioning}/dashboards/millrace.yml`).providers
    expect(mounts.get(provider.options.path)).toBe('./deploy/grafana/dashboards')
    const home = services['grafana']!.environment!['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']!
    expect(posix.dirname(home)).toBe(provider.options.path)
    expect(dashboards).toContain(posix.basename(home))
  })

  test.each(dashboards)('%s shows metrics there are, from that source, with no panel over another', (file) => {
    type Panel = {
      id: number
      title: string
      datasource?: { uid: string }
      gridPos: { x: number; y: number; w: number; h: number }
      targets?: { expr: string }[]
    }
    const { panels }: { panels: Panel[] } = JSON.parse(read(`deploy/grafana/dashboards/${file}`))
    const shown = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => expr.match(/millrace_\w+/g) ?? []))
    expect(new Set(shown.map((name) => name.replace(/^millrace_|_bucket$/g, '')))).toEqual(metrics)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { datasource, targets, title } of panels) if (targets) expect(datasource?.uid, title).toBe(source.uid)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(cells.every((cell) => Number(cell.split(',')[0]) < 24)).toBe(true)
  })
})

test('kafka, registry and redis can run alone, on the ports that `millrace up` gives', () => {
  for (const [name, variable] of Object.entries({
    kafka: 'KAFKA_PORT',
    registry: 'REGISTRY_PORT',
    redis: 'REDIS_PORT',
  })) {
    expect(services[name]?.ports?.[0]).toContain(`\${${variable}:-`)
    expect(services[name]?.healthcheck).toHaveProperty('test')
    for (const other of Object.keys(services[name]?.depends_on ?? {})) expect(other).toBe('kafka')
  }
  expect(services['kafka']?.image).toMatch(/\$\{KAFKA_VERSION:-/)
})
