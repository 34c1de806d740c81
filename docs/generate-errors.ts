/** Writes ERRORS.md from the table of codes in runtime/errors.ts. `npx tsx docs/generate-errors.ts`; a test keeps the two in step. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { errorCodes } from '../runtime/errors.ts'

/** The text of ERRORS.md. */
export function generateErrors(): string {
  const rows = Object.entries(errorCodes).map(
    ([code, { retryable, remedy }]) =>
      `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${remedy.replaceAll('|', '\\|')} |`,
  )
  return [
    '# Errors',
    '',
    'Every error a person meets has one of these codes, and a message that says what happened and where. The codes are',
    'stable: scripts and alerts may rely on them. "Tried again" tells whether Millrace itself does so.',
    '',
    '| Code | Tried again | What to do |',
    '| --- | --- | --- |',
    ...rows,
    '',
    'This page is generated from `runtime/errors.ts` by `npx tsx docs/generate-errors.ts`.',
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('./ERRORS.md', import.meta.url), generateErrors())
}
