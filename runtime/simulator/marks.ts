/** The rare branches of a fleet's life. A long run in which one was never reached has not shown what it should. */
const names = [
  'killed',
  'paused',
  'restarted',
  'left',
  'replaced',
  'unknownCommitted',
  'unknownAborted',
  'lateEndTook',
  'lateEndRefused',
  'slowEndRefused',
  'markerPending',
  'fenced',
  'zombieFenced',
  'membershipLost',
  'logAway',
  'registryAway',
  'coordinatorAway',
  'coordinatorMoved',
  'rebalanceInRestore',
  'restoreInterrupted',
  'standbyPromoted',
  'warmupPromoted',
  'staleDisk',
  'lostDisk',
  'wiped',
  'tombstoneExpired',
  'changelogStartMoved',
  'inboxStartMoved',
  'buried',
  'swept',
] as const

export type Mark = (typeof names)[number]

export class FleetMarks {
  readonly counts: Record<Mark, number>

  constructor() {
    this.counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Mark, number>
  }

  add(mark: Mark, times = 1): void {
    this.counts[mark] += times
  }
}
