/** Services run until they are told to end. */

/**
 * Starts a service and ends it at SIGINT or SIGTERM; a second signal does not wait. What is fatal to it ends it too, and
 * is thrown once it has ended. `stopping` aborts when it is to end: a start that takes long throws its reason then.
 */
export async function untilSignal(
  start: (onFatal: (error: unknown) => void, stopping: AbortSignal) => Promise<() => Promise<void>>,
): Promise<void> {
  const stopping = new AbortController()
  let stop = (): void => {}
  let fail = (_error: unknown): void => {}
  const requested = new Promise<void>((resolve, reject) => {
    stop = () => {
      stopping.abort()
      resolve()
    }
    fail = reject
  })
  requested.catch(() => {}) // heard below, once there is something to stop
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.on(signal, () => stop())
  const end = await start((error) => fail(error), stopping.signal).catch((error) => {
    if (error !== stopping.signal.reason) throw error
    return async () => {}
  })
  const failure = await requested.then(
    () => undefined,
    (error: unknown) => error ?? new Error('stopped without a reason'),
  )
  for (const signal of signals) {
    process.removeAllListeners(signal)
    process.once(signal, () => process.exit(130))
  }
  await end()
  if (failure !== undefined) throw failure
}
