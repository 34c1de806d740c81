/** What each of several things is at, while a person waits: one line on a terminal, and a line a step elsewhere. */
import pc from 'picocolors'

export type Steps = { readonly tell: (what: string, step: string) => void; readonly end: () => void }

const everyMs = 250

/** On standard error, so that what a command answers can be read from the other. */
export function startSteps(): Steps {
  const { stderr } = process
  if (!stderr.isTTY) return { tell: (what, step) => stderr.write(`millrace: ${what}: ${step}\n`), end() {} }
  const startedMs = Date.now()
  const steps = new Map<string, string>()
  const draw = (): void => {
    const parts = [...steps].map(([what, step]) => `${what} ${step === 'ready' ? pc.green(step) : pc.cyan(step)}`)
    stderr.write(`\r\x1b[K${[...parts, pc.dim(`${Math.round((Date.now() - startedMs) / 1000)} s`)].join(' · ')}`)
  }
  const redraw = setInterval(draw, everyMs)
  return {
    tell(what, step) {
      steps.set(what, step)
      draw()
    },
    end() {
      clearInterval(redraw)
      stderr.write('\r\x1b[K')
    },
  }
}
