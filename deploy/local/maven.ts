/** The jars of Kafka and of the schema registry, fetched once from Maven Central into a cache of the user. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../../runtime/errors.ts'

const run = promisify(execFile)
const boundMs = 10 * 60_000
const javaMin = 17

/** From the oldest that we test with to the newest. */
export const kafkaVersions = ['3.9.1', '4.2.0', '4.3.0'] as const
export type KafkaVersion = (typeof kafkaVersions)[number]
export const registryVersion = '3.0.9'

/** The folder with Kafka's jars; `fetching` is called when they are not in the cache. PART_MISSING, PART_FAILED. */
export async function kafkaJars(version: KafkaVersion, fetching: () => void = () => {}): Promise<string> {
  return cached(`kafka-${version}`, fetching, async (folder) => {
    await writeFile(join(folder, 'pom.xml'), pomOf(version))
    await maven(folder, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`)
  })
}

/** The folder with the registry's program, likewise. */
export async function registryJars(fetching: () => void = () => {}): Promise<string> {
  return cached(`apicurio-registry-${registryVersion}`, fetching, (folder) =>
    maven(
      folder,
      'dependency:unpack',
      `-Dartifact=io.apicurio:apicurio-registry-app:${registryVersion}:zip:all`,
      `-DoutputDirectory=${folder}`,
    ),
  )
}

/** PART_MISSING when there is no java, or an old one. */
export async function requireJava(): Promise<void> {
  const { stderr } = await run('java', ['-version']).catch((error) => {
    throw missing('java', error, 'openjdk-17-jre-headless', 'openjdk@17')
  })
  const major = Number(/version "(\d+)/.exec(stderr)?.[1])
  if (major >= javaMin) return
  throw new MillraceError('PART_MISSING', `Kafka needs Java ${javaMin} or later; this one is: ${stderr.split('\n')[0]}`)
}

/** What to say when a program could not be started. */
export function missing(program: string, cause: unknown, debian: string, homebrew: string): MillraceError {
  const message = `there is no ${program} (Debian: apt-get install ${debian}; macOS: brew install ${homebrew})`
  return new MillraceError('PART_MISSING', message, { cause })
}

/** Fills a folder aside and moves it into place, so that the cache never holds half of something. */
async function cached(name: string, fetching: () => void, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder(), name)
  if (existsSync(folder)) return folder
  fetching()
  const aside = `${folder}.${process.pid}`
  await mkdir(aside, { recursive: true })
  try {
    await fill(aside)
    await rename(aside, folder).catch((error) => {
      if (!existsSync(folder)) throw error // else somebody was faster
    })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return folder
}

function cacheFolder(): string {
  const { MILLRACE_CACHE, XDG_CACHE_HOME } = process.env
  return MILLRACE_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace')
}

async function maven(cwd: string, ...args: readonly string[]): Promise<void> {
  try {
    await run('mvn', ['-q', '-B', ...args], { cwd, timeout: boundMs })
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: string }
    if (code === 'ENOENT') throw missing('mvn', error, 'maven', 'maven')
    const said = stdout?.trim().split('\n').slice(0, 5).join('\n') || `nothing for ${boundMs / 60_000} minutes`
    throw new MillraceError('PART_FAILED', `Maven could not fetch what is needed:\n${said}`, { cause: error })
  }
}

function pomOf(version: string): string {
  const dependency = (group: string, artifact: string, version: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>millrace</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', version)}
${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies>
</project>
`
}
