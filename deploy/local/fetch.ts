/** Fills the cache of jars, so that no test waits for it: `npx tsx deploy/local/fetch.ts`. */
import { kafkaJars, kafkaVersions, registryJars } from './maven.ts'

for (const version of kafkaVersions) console.log(await kafkaJars(version))
console.log(await registryJars())
