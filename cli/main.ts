/** The program `millrace`: commands, and how it ends. */
import { Command, CommanderError } from 'commander'
import { addApply } from './commands/apply.ts'
import { addCollect } from './commands/collect.ts'
import { addDead } from './commands/dead.ts'
import { addDeliver } from './commands/deliver.ts'
import { addDemo } from './commands/demo.ts'
import { addDump } from './commands/dump.ts'
import { addIngest } from './commands/ingest.ts'
import { addProfile } from './commands/profile.ts'
import { addRecover } from './commands/recover.ts'
import { addReplay } from './commands/replay.ts'
import { addRun } from './commands/run.ts'
import { addSchemas } from './commands/schemas.ts'
import { addStart } from './commands/start.ts'
import { addTopics } from './commands/topics.ts'
import { addTopology } from './commands/topology.ts'
import { addUp } from './commands/up.ts'
import { addValidate } from './commands/validate.ts'
import { endingOf, exitRefused } from './failure.ts'
import { boundHeap } from './heap.ts'
import { packageVersion } from './package.ts'

boundHeap()

const program = new Command('millrace')
  .description('Snowplow-style events in, profiles and segment memberships out, within a second.')
  .version(packageVersion)
  .showHelpAfterError('(add --help to see what there is)')
  .helpCommand(false)
  // `replay` and `replay compare` have options of the same names; each takes those behind it.
  .enablePositionalOptions()
  .exitOverride()

addStart(program)
addDemo(program)
addIngest(program)
addValidate(program)
addDump(program)
addDead(program)
addRecover(program)
addReplay(program)
addProfile(program)
addTopology(program)
addRun(program)
addCollect(program)
addDeliver(program)
addApply(program)
addUp(program)
addTopics(program)
addSchemas(program)

// Whoever reads has had enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : exitRefused
  } else {
    const { status, text } = endingOf(error)
    console.error(text)
    process.exitCode = status
  }
}
