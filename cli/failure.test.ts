import { expect, test } from 'vitest'
import { MillraceError } from '../runtime/errors.ts'
import { endingOf } from './failure.ts'

test('what was asked for cannot be: one sentence, with what to do, and 2', () => {
  expect(endingOf(new MillraceError('PORT_TAKEN', 'port 80 is in use'))).toEqual({
    status: 2,
    text: 'millrace: port 80 is in use; choose another port with the option for it, or stop the program that holds it.',
  })
  expect(endingOf(new MillraceError('CONFIG_INVALID', 'the workspace x has 2 problems:\n  a\n  b'))).toEqual({
    status: 2,
    text: 'millrace: the workspace x has 2 problems:\n  a\n  b',
  })
})

test('anything else: what happened, what to do, its code, and 1', () => {
  expect(endingOf(new MillraceError('DATA_FULL', 'the disk is full'))).toEqual({
    status: 1,
    text: 'millrace: the disk is full\nFree space on the disk of the data folder, then start again. (DATA_FULL)',
  })
})

test('a bug: where it happened, and 1', () => {
  const { status, text } = endingOf(new TypeError('x is not a function'))
  expect(status).toBe(1)
  expect(text).toMatch(/^millrace: an unexpected failure; please report it .*\nTypeError: x is not a function\n +at /)
})
