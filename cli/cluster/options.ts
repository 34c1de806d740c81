/** Options of commands that speak to a cluster. */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { type Command, Option } from 'commander'
import { addressesIn } from '../../deploy/local/addresses.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { KafkaOptions, Sasl } from '../../runtime/kafka/connection.ts'
import { dataOption } from '../options.ts'
import type { ClusterPlace, Place } from '../place.ts'

export type ClusterFlags = {
  readonly brokers?: readonly string[]
  readonly registry?: string
  readonly prefix: string
  readonly sasl?: Sasl['mechanism']
  readonly saslUser?: string
  readonly saslPasswordFile?: string
  readonly tls?: true
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
}

const passwordVariable = 'KAFKA_PASSWORD'

export function addClusterFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--brokers <list>', 'of the Kafka cluster: host:port, with commas between several')
        .env('KAFKA_BROKERS')
        .argParser((text) => text.split(',').map((entry) => entry.trim())),
    )
    .addOption(new Option('--registry <url>', 'of the schema registry').env('SCHEMA_REGISTRY_URL'))
    .addOption(
      new Option('--prefix <text>', 'before the names of all topics, schema subjects and groups')
        .env('MILLRACE_PREFIX')
        .default('', 'none'),
    )
    .addOption(
      new Option(
        '--sasl <mechanism>',
        `log in to Kafka; the password is that of the variable ${passwordVariable}, or of a file`,
      ).choices(['plain', 'scram-sha-256', 'scram-sha-512']),
    )
    .addOption(new Option('--sasl-user <name>', 'to log in with').env('KAFKA_USER'))
    .addOption(new Option('--sasl-password-file <file>', 'that holds the password').env(`${passwordVariable}_FILE`))
    .addOption(new Option('--tls', 'speak TLS to Kafka'))
    .addOption(new Option('--tls-ca <file>', 'who signed the certificates of the brokers (PEM)'))
    .addOption(new Option('--tls-cert <file>', 'certificate of this client (PEM), for mTLS'))
    .addOption(new Option('--tls-key <file>', 'its key (PEM)'))
}

/** Where the flags lead. What is not given is where `millrace up` last put it. CONFIG_INVALID when nothing says. */
export function clusterOf(flags: ClusterFlags, env: NodeJS.ProcessEnv = process.env): ClusterPlace {
  const local = addressesIn()
  const brokers = flags.brokers ?? local.KAFKA_BROKERS?.split(',')
  const registryUrl = flags.registry ?? local.SCHEMA_REGISTRY_URL
  if (!brokers || !registryUrl) {
    const missing = brokers ? '--registry or SCHEMA_REGISTRY_URL' : '--brokers or KAFKA_BROKERS'
    throw new MillraceError(
      'CONFIG_INVALID',
      `give ${missing}, or start Kafka and a registry here with \`millrace up\``,
    )
  }
  return {
    kind: 'cluster',
    kafka: { brokers, ssl: tlsOf(flags), sasl: saslOf(flags, env) },
    registryUrl,
    prefix: flags.prefix,
  }
}

export type PlaceFlags = ClusterFlags & { readonly data: string }

/** For commands that look into a data folder or at a cluster alike. */
export function addPlaceFlags(command: Command): Command {
  return addClusterFlags(command.addOption(dataOption()))
}

/** The cluster, when one is named or `millrace up` has started one; a folder that is named goes before what is not. */
export function placeOfFlags(flags: PlaceFlags, command: Command): Place {
  const given = (flag: string): boolean => command.getOptionValueSource(flag) === 'cli'
  if (given('data') && given('brokers')) command.error('error: name a data folder or brokers, not both')
  const isCluster = !given('data') && (flags.brokers !== undefined || addressesIn().KAFKA_BROKERS !== undefined)
  return isCluster ? clusterOf(flags) : { kind: 'folder', dataFolder: flags.data }
}

function saslOf(flags: ClusterFlags, env: NodeJS.ProcessEnv): Sasl | null {
  const { sasl: mechanism, saslUser: username, saslPasswordFile: file } = flags
  if (!mechanism) return null
  const password = file ? contentOf(file).toString('utf8').trimEnd() : env[passwordVariable]
  if (!username || !password)
    throw new MillraceError(
      'CONFIG_INVALID',
      `--sasl needs --sasl-user, and the password in ${passwordVariable} or with --sasl-password-file`,
    )
  return { mechanism, username, password }
}

function tlsOf({ tls, tlsCa, tlsCert, tlsKey }: ClusterFlags): KafkaOptions['ssl'] & (ConnectionOptions | null) {
  if (!tls && !tlsCa && !tlsCert) return null
  if (Boolean(tlsCert) !== Boolean(tlsKey))
    throw new MillraceError('CONFIG_INVALID', '--tls-cert and --tls-key go together')
  return {
    ...(tlsCa && { ca: contentOf(tlsCa) }),
    ...(tlsCert && tlsKey && { cert: contentOf(tlsCert), key: contentOf(tlsKey) }),
  }
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new MillraceError('CONFIG_INVALID', `cannot read ${path}: ${code ?? String(cause)}`, { cause })
  }
}
