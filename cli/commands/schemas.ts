/** `millrace schemas`: Iglu schemas looked at, looked up, tried and published. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { compile } from '../../operators/validate/compile.ts'
import type { DataReport } from '../../operators/validate/failure.ts'
import { parseJson } from '../../operators/validate/json.ts'
import { schemaKeyOf } from '../../operators/validate/schema-key.ts'
import { type Finding, lint, type Skippable, skippable } from '../../registries/lint.ts'
import { type Destination, publish } from '../../registries/publish.ts'
import { apiKeyOf } from '../../registries/repository.ts'
import { Resolver } from '../../registries/resolver.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { loadWorkspace, type Workspace } from '../../workspace/workspace.ts'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import { exitFailed } from '../failure.ts'
import { dataOption, workspaceOption } from '../options.ts'
import { type SchemaFile, schemaFiles } from '../schema-files.ts'
import { printJson } from '../terminal.ts'

type Common = { readonly workspace: string; readonly json?: true }

export function addSchemas(program: Command): void {
  const schemas = program
    .command('schemas')
    .summary('look at, look up, try and publish Iglu schemas')
    .description('Iglu schemas: of files, of the workspace, and of the registries that its iglu.json names.')
    .helpCommand(false)
  addLint(schemas)
  addGet(schemas)
  addValidate(schemas)
  addPublish(schemas)
  addRefresh(schemas)
}

const jsonOption = (): Option => new Option('--json', 'one JSON line for machines')

// --- lint ---

type LintOptions = { readonly skip?: readonly Skippable[]; readonly optionalNull?: true; readonly json?: true }
type Linted = SchemaFile & { readonly findings: readonly Finding[] }

function addLint(schemas: Command): void {
  schemas
    .command('lint')
    .summary('check schemas in files')
    .description(
      'Checks a schema file, or all below a folder: that each is what its path says, is of draft 4, does not contradict\n' +
        'itself and can be used here; and what could be better. Ends with 1 when there is an error.',
    )
    .argument('<path>', 'a file vendor/name/jsonschema/1-0-0, or a folder of them')
    .addOption(new Option('--skip <checks...>', 'leave out checks').choices([...skippable]))
    .option('--optional-null', 'also ask that optional properties allow for null')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace schemas lint my-shop/schemas\n  $ millrace schemas lint my-shop/schemas --skip description stringLength\n',
    )
    .action(async (path: string, options: LintOptions) => {
      const linted = lintAll(await schemaFiles(path), options)
      printLinted(linted, options.json)
      if (errorsIn(linted) > 0) process.exitCode = exitFailed
    })
}

function lintAll(
  files: readonly SchemaFile[],
  { skip = [], optionalNull }: Omit<LintOptions, 'json'>,
): readonly Linted[] {
  return files.map((file): Linted => {
    const key = file.key ?? keyIn(file.text)
    const findings = [...lint(key, file.text, { skip, optionalNull: optionalNull ?? false })]
    const compiled = compile(file.text)
    if ('issue' in compiled && !findings.some(({ check }) => check === 'json'))
      findings.push({
        level: 'error',
        check: 'contradiction',
        path: '$',
        message: `it cannot be used: ${compiled.issue}`,
      })
    return { ...file, key, findings }
  })
}

const errorsIn = (linted: readonly Linted[]): number =>
  linted.flatMap(({ findings }) => findings).filter(({ level }) => level === 'error').length

function printLinted(linted: readonly Linted[], json: true | undefined): void {
  const errors = errorsIn(linted)
  const findings = linted.flatMap(({ file, findings }) => findings.map((finding) => ({ file, ...finding })))
  if (json) {
    printJson({ schemas: linted.length, errors, warnings: findings.length - errors, findings })
    return
  }
  for (const { file, level, path, message, check } of findings)
    console.log(
      `${file} ${level === 'error' ? pc.red(level) : pc.yellow(level)} ${path}: ${message} ${pc.dim(`(${check})`)}`,
    )
  console.log(`${linted.length} schemas, ${errors} errors, ${findings.length - errors} warnings`)
}

/** Of a file whose place says nothing: what it says itself. */
function keyIn(text: string): string {
  const parsed = parseJson(text)
  const self = parsed.error === null ? (parsed.value as { self?: Record<string, unknown> } | null)?.self : undefined
  return `iglu:${self?.['vendor']}/${self?.['name']}/${self?.['format'] ?? 'jsonschema'}/${self?.['version']}`
}

// --- get ---

function addGet(schemas: Command): void {
  schemas
    .command('get')
    .summary('look a schema up')
    .description(
      'Prints a schema of the workspace, or else of the registries that its iglu.json names, in their order.',
    )
    .argument('<key>', 'iglu:com.acme/order/jsonschema/1-0-0')
    .addOption(workspaceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace schemas get iglu:com.acme/order/jsonschema/1-0-0 --workspace my-shop\n',
    )
    .action(async (key: string, { workspace, json }: Common) => {
      const { uri, text, repository } = await lookUp(await loadWorkspace(workspace), key)
      if (json) printJson({ key, uri, repository, schema: JSON.parse(text) })
      else console.log(JSON.stringify(JSON.parse(text), null, 2))
    })
}

async function lookUp(workspace: Workspace, key: string): Promise<{ uri: string; text: string; repository: string }> {
  if (!schemaKeyOf(key))
    throw new MillraceError('INPUT_INVALID', `'${key}' is no schema key, such as iglu:com.acme/order/jsonschema/1-0-0`)
  const own = workspace.schemas.get(key)
  if (own !== undefined) return { uri: key, text: own, repository: 'workspace' }
  const { registries } = workspace.iglu
  const resolver = new Resolver({ workspaceFolder: workspace.folder, env: process.env, nowMs: Date.now })
  const { found, failures } = registries ? await resolver.resolve(registries, key) : { found: null, failures: [] }
  if (found) return found
  const asked = ['the workspace', ...(registries?.repositories ?? []).map(({ name }) => name)].join(', ')
  const failed = failures.map(({ repository, message }) => `; ${repository}: ${message}`).join('')
  throw new MillraceError('NOT_FOUND', `there is no schema ${key} in ${asked}${failed}`)
}

// --- validate ---

function addValidate(schemas: Command): void {
  schemas
    .command('validate')
    .summary('try data against a schema')
    .description(
      'Holds data against their schema as the topology would, and prints its complaints. The file has a self-describing\n' +
        'JSON, {"schema": …, "data": …}; with --schema, the data alone. Ends with 1 when there is a complaint.',
    )
    .argument('<file>', 'a file of JSON; - for standard input')
    .option('--schema <key>', 'the schema of the data')
    .addOption(workspaceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace schemas validate order.json\n  $ millrace schemas validate - --schema iglu:com.acme/order/jsonschema/1-0-0 < data.json\n',
    )
    .action(async (file: string, { workspace: folder, schema, json }: Common & { readonly schema?: string }) => {
      const workspace = await loadWorkspace(folder)
      const parsed = parseJson(await textOf(file), workspace.iglu.integers)
      if (parsed.error !== null) throw new MillraceError('INPUT_INVALID', `${file} is no JSON (${parsed.error})`)
      const instance = schema === undefined ? selfDescribed(file, parsed.value) : { schema, data: parsed.value }
      const { uri, text } = await lookUp(workspace, instance.schema)
      const compiled = compile(text, workspace.iglu.compat)
      if ('issue' in compiled)
        throw new MillraceError('INPUT_INVALID', `the schema ${uri} cannot be used: ${compiled.issue}`)
      const reports: readonly DataReport[] = compiled.check(instance.data)
      if (json) printJson({ schema: uri, valid: reports.length === 0, reports })
      else for (const { message } of reports) console.log(message)
      if (!json && reports.length === 0) console.log(`valid against ${uri}`)
      if (reports.length > 0) process.exitCode = exitFailed
    })
}

async function textOf(file: string): Promise<string> {
  try {
    return file === '-' ? readFileSync(0, 'utf8') : await readFile(file, 'utf8')
  } catch (cause) {
    throw new MillraceError('INPUT_INVALID', `cannot read ${file} (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  }
}

function selfDescribed(file: string, value: unknown): { readonly schema: string; readonly data: unknown } {
  const { schema, data } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (typeof schema === 'string' && data !== undefined) return { schema, data }
  throw new MillraceError('INPUT_INVALID', `${file} has no {"schema": …, "data": …}; name the schema with --schema`)
}

// --- publish ---

type PublishOptions = Common & {
  readonly to: string
  readonly apiKeyEnv?: string
  readonly public?: true
  readonly patch?: true
}

function addPublish(schemas: Command): void {
  schemas
    .command('publish')
    .summary('put schemas into a registry')
    .description(
      'Checks schemas as `lint` does, and puts them into an Iglu Server or into the folder of a static registry. Nothing is\n' +
        'published when there is an error. What is there already is left alone; with another content it is refused.',
    )
    .argument('<path>', 'a file vendor/name/jsonschema/1-0-0, or a folder of them')
    .requiredOption('--to <place>', 'the name of a repository of iglu.json, the address of an Iglu Server, or a folder')
    .option('--api-key-env <name>', 'the variable with the key of the server; default: as iglu.json says')
    .option('--public', 'for everybody to read')
    .option('--patch', 'replace what is there with another content')
    .addOption(workspaceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace schemas publish my-shop/schemas --to acme --workspace my-shop\n  $ IGLU_KEY=… millrace schemas publish my-shop/schemas --to https://iglu.acme.com/api --api-key-env IGLU_KEY\n  $ millrace schemas publish my-shop/schemas --to ./static\n',
    )
    .action(async (path: string, options: PublishOptions) => {
      const linted = lintAll(await schemaFiles(path), { skip: skippable })
      if (errorsIn(linted) > 0) {
        printLinted(linted, options.json)
        process.exitCode = exitFailed
        return
      }
      const to = await destinationOf(options)
      const published: { key: string; outcome: string }[] = []
      // an Iglu Server takes versions in their order
      for (const { key, text } of [...linted].sort((a, b) => byVersion(a.key!, b.key!))) {
        const outcome = await publish(to, key!, text, { patch: options.patch ?? false })
        published.push({ key: key!, outcome })
        if (!options.json) console.log(`${outcome.padEnd(9)} ${key}`)
      }
      if (options.json) printJson({ published })
    })
}

async function destinationOf({
  to,
  workspace: folder,
  apiKeyEnv,
  public: isPublic,
}: PublishOptions): Promise<Destination> {
  const { env } = process
  const named = (await loadWorkspace(folder)).iglu.registries?.repositories.find(({ name }) => name === to)
  if (named && 'folder' in named.at) return { folder: join(folder, named.at.folder) }
  const uri = named && 'uri' in named.at ? named.at.uri : to
  if (!/^https?:\/\//.test(uri)) return { folder: to }
  const repository = { name: to, priority: 0, vendorPrefixes: [], at: { uri, apiKeyEnv: apiKeyEnv ?? null } }
  const apiKey = apiKeyOf(apiKeyEnv || !named ? repository : named, env)
  if (apiKey !== null) return { uri, apiKey, isPublic: isPublic ?? false }
  throw new MillraceError(
    'INPUT_INVALID',
    `an Iglu Server takes schemas with a key only; name its variable with --api-key-env`,
  )
}

function byVersion(a: string, b: string): number {
  const [one, other] = [schemaKeyOf(a), schemaKeyOf(b)].map((key) => (key?.version ?? '').split('-').map(Number))
  const name = (key: string) => key.slice(0, key.lastIndexOf('/'))
  if (name(a) !== name(b)) return name(a) < name(b) ? -1 : 1
  return one!.map((part, at) => part - other![at]!).find((difference) => difference !== 0) ?? 0
}

// --- refresh ---

type RefreshOptions = Common & ClusterFlags & { readonly data: string }

function addRefresh(schemas: Command): void {
  addClusterFlags(schemas.command('refresh'))
    .summary('have registries asked anew')
    .description(
      'Has every schema of the registries looked up once more, from one place in every inbox on. A running cluster goes on\n' +
        'while it happens; a data folder must not be in use.',
    )
    .addOption(workspaceOption())
    .addOption(dataOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ millrace schemas refresh --workspace my-shop\n')
    .action(async ({ json, ...options }: RefreshOptions) => {
      const version = await (options.brokers ? refreshCluster(options) : refreshFolder(options))
      if (json) printJson({ version })
      else console.log(`version ${version} is in force from now on; registries are asked anew`)
    })
}

async function refreshFolder({ data, workspace }: RefreshOptions): Promise<number> {
  const { openEngine } = await import('../engine.ts')
  const engine = await openEngine({
    dataFolder: data,
    workspaceFolder: workspace,
    logTimeMs: Date.now(),
    refresh: true,
  })
  const { version } = engine
  await engine.close()
  return version
}

async function refreshCluster(options: RefreshOptions): Promise<number> {
  const [{ ClusterDefinitions, openCluster }, { readTenantKey, tenantKeyVariable }] = await Promise.all([
    import('../cluster/cluster.ts'),
    import('../tenant-key.ts'),
  ])
  const workspace = await loadWorkspace(options.workspace)
  const envName = workspace.tenantKeyEnv ?? tenantKeyVariable
  const key = await readTenantKey(options.data, { envName, env: process.env })
  const cluster = await openCluster(clusterOf(options))
  try {
    return (await new ClusterDefinitions(cluster, workspace, key).apply({ always: true, refresh: true })).version
  } finally {
    await cluster.close()
  }
}
