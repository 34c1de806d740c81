import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generateErrors } from '../docs/generate-errors.ts'
import { errorCodes, MillraceError } from '../runtime/errors.ts'

test('docs/ERRORS.md is what the table of codes says; `npx tsx docs/generate-errors.ts` makes it so', () => {
  expect(readFileSync(new URL('../docs/ERRORS.md', import.meta.url), 'utf8')).toBe(generateErrors())
})

test.each(Object.entries(errorCodes))('%s has a remedy that is a sentence', (code, { remedy }) => {
  expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
  expect(remedy).toMatch(/^[A-Z`].*[.`]$/s)
})

test('an error carries its code, place and cause', () => {
  const cause = new Error('disk')
  const error = new MillraceError('COMMIT_UNKNOWN', 'the answer was lost', {
    cause,
    place: { task: 'graph/0', offset: 7 },
  })
  expect(error).toMatchObject({
    name: 'MillraceError',
    code: 'COMMIT_UNKNOWN',
    retryable: true,
    message: 'the answer was lost',
    place: { task: 'graph/0', offset: 7 },
    cause,
  })
  expect(new MillraceError('NOT_FOUND', 'no such profile')).not.toHaveProperty('cause')
})
