/** Sittings: events of one client with gaps under 30 minutes of event time. */
import type { Sitting } from '../../schemas/avro/types.ts'

export const gapMs = 30 * 60_000
export const sittingsMax = 8

/** Two tell that a sitting has no single user; a third would tell no more. */
const usersMax = 2

/**
 * The sittings with the one of an event last. The event joins the nearest sitting less than 30 minutes away, or begins
 * one under its own id. Joining lengthens a sitting and never joins two, however late the event is. `user` signs in.
 * The least recently used sittings are forgotten.
 */
export function sit(sittings: readonly Sitting[], event: SittingEvent): readonly [...Sitting[], Sitting] {
  const joined = nearest(sittings, event.timeMs)
  const others = sittings.filter((sitting) => sitting !== joined)
  return [...others.slice(-(sittingsMax - 1)), joined ? lengthened(joined, event) : begun(event)]
}

export type SittingEvent = { readonly eventId: string; readonly timeMs: number; readonly user: string | null }

/** Who alone has signed in during the sitting; null when nobody has, or several. */
export function soleUser({ users }: Sitting): string | null {
  return users.length === 1 ? users[0]! : null
}

function nearest(sittings: readonly Sitting[], timeMs: number): Sitting | undefined {
  let best: Sitting | undefined
  let bestMs = gapMs
  for (const sitting of sittings) {
    const awayMs = Math.max(sitting.startMs - timeMs, timeMs - sitting.endMs, 0)
    if (awayMs < bestMs || (best && awayMs === bestMs && sitting.startMs < best.startMs)) {
      best = sitting
      bestMs = awayMs
    }
  }
  return best
}

function begun({ eventId, timeMs, user }: SittingEvent): Sitting {
  return { id: eventId, startMs: timeMs, endMs: timeMs, users: user === null ? [] : [user] }
}

function lengthened(sitting: Sitting, { timeMs, user }: SittingEvent): Sitting {
  const { id, users } = sitting
  const startMs = Math.min(sitting.startMs, timeMs)
  const endMs = Math.max(sitting.endMs, timeMs)
  const arrives = user !== null && users.length < usersMax && !users.includes(user)
  return { id, startMs, endMs, users: arrives ? [...users, user] : users }
}
