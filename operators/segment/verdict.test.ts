import { expect, test } from 'vitest'
import { certain, conjunction, disjunction, negate, unknown } from './verdict.ts'

const [no, yes] = [certain(false, 1, 20), certain(true, 2, 30)]

test('one that decides is enough, and stands as long as any such does', () => {
  expect(conjunction([yes, no, unknown])).toEqual(no)
  expect(conjunction([no, certain(false, 5, 40)])).toEqual(certain(false, 1, 40))
  expect(disjunction([no, yes, unknown])).toEqual(yes)
})

test('without one that decides all must stand', () => {
  expect(conjunction([yes, certain(true, 5, 25)])).toEqual(certain(true, 5, 25))
  expect(disjunction([no, certain(false, 0, 15)])).toEqual(certain(false, 1, 15))
  expect(conjunction([yes, unknown])).toEqual({ ...unknown, untilMs: 30 })
  expect(disjunction([no, unknown])).toEqual({ ...unknown, untilMs: 20 })
})

test('none of none fails, any of none holds not', () => {
  expect(conjunction([])).toEqual(certain(true))
  expect(disjunction([])).toEqual(certain(false))
})

test('the contrary of what is unknown is unknown', () => {
  expect(negate(unknown)).toEqual(unknown)
  expect(negate(yes)).toEqual(certain(false, 2, 30))
})
