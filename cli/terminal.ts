/** What commands print with: progress on long work, numbers and tables for people. */
import { SingleBar } from 'cli-progress'
import pc from 'picocolors'

export type Progress = { update(done: number): void; end(): void }

/** A bar on standard error when that is a terminal, and nothing elsewhere. */
export function startProgress(what: string, total: number, unit: string): Progress {
  if (!process.stderr.isTTY || total <= 0) return { update() {}, end() {} }
  const bar = new SingleBar({
    format: `${what} ${pc.cyan('{bar}')} {percentage}% · {value}/{total} ${unit} · {eta_formatted} left`,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    etaBuffer: 50,
  })
  bar.start(total, 0)
  return {
    update: (done) => bar.update(Math.min(done, total)),
    end: () => bar.stop(),
  }
}

/** 1234567 as 1,234,567; at most one digit behind the point. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}

/** Milliseconds as people read them: `0.4 ms`, `12 ms`, `1.2 s`. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

/** Rows of [name, value], the values to the right and in line. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const names = Math.max(...rows.map(([name]) => name.length))
  const values = Math.max(...rows.map(([, value]) => value.length))
  return rows.map(([name, value]) => `  ${name.padEnd(names)}  ${value.padStart(values)}`).join('\n')
}

/** One JSON value, one line, to standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
