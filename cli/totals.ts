/** What has happened so far, in numbers: sums of the durable counters of all tasks, exact after every commit. */
import type { Task } from '../runtime/task.ts'

export type Totals = {
  /** Raw events processed. events = valid + bad + duplicates + dead, always. */
  readonly events: number
  readonly valid: number
  readonly bad: number
  readonly dead: number
  readonly duplicates: number
  readonly profiles: number
  readonly merges: number
  readonly entered: number
  readonly exited: number
  readonly activated: number
}

export function totalsOf(tasks: readonly Pick<Task, 'name' | 'counters'>[]): Totals {
  const sum = (counter: string, stage = ''): number =>
    tasks.reduce((total, { name, counters }) => total + (name.startsWith(stage) ? (counters.get(counter) ?? 0) : 0), 0)
  const bad = sum('bad')
  const dead = sum('dead')
  const duplicates = sum('duplicates')
  // A record that dies takes its counts with it: VALIDATE has not counted those that died in its stage.
  const events = sum('raw.events') + sum('dead', 'identify/')
  return {
    events,
    valid: events - bad - duplicates - dead,
    bad,
    dead,
    duplicates,
    profiles: sum('profiles.created'),
    merges: sum('merges'),
    entered: sum('entered'),
    exited: sum('exited'),
    activated: sum('activated'),
  }
}
