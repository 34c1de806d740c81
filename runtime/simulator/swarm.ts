/** What may go wrong in a run, and how often: each seed draws its own, so that some faults come alone and others in crowds. */
import type { Random } from '../random.ts'

/** The most that a seed may draw. Calls are those of a process on its ports, answers counted too. */
const most = {
  // of a call
  kill: 0.0012,
  pause: 0.001,
  slowCall: 0.03,
  // of a commit
  lostEnd: 0.04,
  unansweredEnd: 0.04,
  lateEnd: 0.04,
  slowEnd: 0.08,
  slowMarker: 0.1,
  // of a step of the world
  restart: 0.04,
  leave: 0.03,
  twin: 0.03,
  logOutage: 0.04,
  registryOutage: 0.06,
  coordinatorOutage: 0.04,
  coordinatorMove: 0.05,
  compaction: 0.4,
  retention: 0.2,
  // of a start
  staleDisk: 0.5,
  lostDisk: 0.3,
}

export type Faults = Readonly<Record<keyof typeof most, number>>

export function drawFaults(random: Random): Faults {
  const drawn = Object.entries(most).map(([name, rate]) => [name, random.chance(0.3) ? 0 : rate * random.unit()])
  return Object.fromEntries(drawn) as Faults
}
