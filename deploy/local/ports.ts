/** Ports of this machine that nobody listens on. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { MillraceError } from '../../runtime/errors.ts'

/** Everything here listens on this machine alone. */
export const host = '127.0.0.1'

const attempts = 100

/** The port itself when it is free, or the next one that is. */
export async function freePortFrom(first: number): Promise<number> {
  return firstFree((attempt) => first + attempt)
}

/** Any. Below those that systems give to outgoing connections, so that a part which restarts finds its port free. */
export async function anyFreePort(): Promise<number> {
  return firstFree(() => randomInt(20_000, 30_000))
}

async function firstFree(candidate: (attempt: number) => number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = candidate(attempt)
    if (await isFree(port)) return port
  }
  throw new MillraceError('PORT_TAKEN', `none of ${attempts} ports from ${candidate(0)} on is free`)
}

export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
