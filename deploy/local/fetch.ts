/** Fills the cache of jars, so that no test waits for it: `npx tsx deploy/local/fetch.ts [version of Kafka]...`, all unless given. */
import { kafkaVersions } from './kafka.ts'
import { kafkaJars, registryJars } from './maven.ts'

const named = process.argv.slice(2)
for (const version of named.length > 0 ? named : kafkaVersions) console.log(await kafkaJars(version))
console.log(await registryJars())
