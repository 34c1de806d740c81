/** Waiting before another attempt. */

export type Backoff = { readonly baseMs: number; readonly capMs: number }

/**
 * Full jitter: anything from nothing to base x 2^attempt, at most the cap, so that those who failed together do not come
 * back together. Never sooner than the destination asked. `attempt` counts from 0.
 */
export function backoffMs(
  attempt: number,
  { baseMs, capMs }: Backoff,
  retryAfterMs: number | null,
  random: () => number,
): number {
  const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30))
  return Math.max(retryAfterMs ?? 0, Math.floor(random() * ceilingMs))
}
