/** How long the tasks of a process that was killed stand still, when another has copies of their state. */
import { join } from 'node:path'
import { type Deployment, lagOf, Program, pause, Stages } from './processes.ts'

/** Seconds from kill -9 until all tasks run again, in the process that is left. */
export async function benchRecovery(deployment: Deployment): Promise<{ readonly recoverySeconds: number }> {
  const prefix = 'recovery.'
  const tasks = 8
  await new Program(deployment, prefix, ['topics', 'apply']).ended()
  const [left, killed] = ['e', 'f'].map((name) => new Stages(deployment, prefix, join(deployment.folder, name)))
  try {
    for (;;) {
      const [a, b] = await Promise.all([lagOf([left!]), lagOf([killed!])])
      if (a.running + b.running === tasks && b.running > 0) break
      await pause(100)
    }
    await pause(3000)
    await killed!.end('SIGKILL')
    const killedAt = performance.now()
    while ((await lagOf([left!])).running < tasks) await pause(20)
    return { recoverySeconds: Math.round((performance.now() - killedAt) / 100) / 10 }
  } finally {
    await left!.end('SIGTERM')
    await killed!.end('SIGKILL')
  }
}
