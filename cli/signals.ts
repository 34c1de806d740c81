/** Services run until they are told to end. */

/**
 * Starts a service and ends it at SIGINT or SIGTERM; a second signal does not wait. What is fatal to it ends it too, and
 * is thrown once it has ended.
 */
export async function untilSignal(
  start: (onFatal: (error: unknown) => void) => Promise<() => Promise<void>>,
): Promise<void> {
  let stop = (): void => {}
  let fail = (_error: unknown): void => {}
  const requested = new Promise<void>((resolve, reject) => {
    stop = resolve
    fail = reject
  })
  requested.catch(() => {}) // heard below, once there is something to stop
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.on(signal, () => stop())
  const end = await start((error) => fail(error))
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
