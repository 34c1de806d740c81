/** The suite is worth what its comparisons find. */
import { describe, expect, test } from 'vitest'
import { type ExpectedTask, Interleaving, LatestValues } from './expected.ts'

const place = 'out/0'
const taskWith = (task: string, ...lines: string[]): ExpectedTask => ({
  task,
  outputs: new Map([[place, lines]]),
  rows: new Map(),
  counters: new Map(),
})
const differences = (check: Interleaving | LatestValues, lines: readonly string[]): number => {
  for (const [offset, line] of lines.entries()) check.take(offset, line)
  return check.end().length
}

describe('an appended partition', () => {
  const tasks = [taskWith('a/0', 'event k @1 x', 'event k @2 y'), taskWith('a/1', 'event l @1 z')]
  test.each([
    ['in one order', ['event k @1 x', 'event l @1 z', 'event k @2 y'], 0],
    ['in another', ['event l @1 z', 'event k @1 x', 'event k @2 y'], 0],
    ['a record too few', ['event k @1 x', 'event l @1 z'], 1],
    ['a record twice', ['event k @1 x', 'event k @1 x', 'event l @1 z', 'event k @2 y'], 1],
    ['a key out of order', ['event k @2 y', 'event k @1 x', 'event l @1 z'], 2],
    ['another value', ['event k @1 X', 'event l @1 z'], 2],
    ['nothing', [], 2],
  ])('%s', (_, lines, count) => expect(differences(new Interleaving(place, tasks), lines)).toBe(count))
})

describe('a compacted partition', () => {
  const tasks = [taskWith('a/0', 'profile k @1 x', 'profile l @1 z', 'profile k @2 y', 'profile k @3 w')]
  test.each([
    ['all of it', ['profile k @1 x', 'profile l @1 z', 'profile k @2 y', 'profile k @3 w'], 0],
    ['the last of a batch', ['profile l @1 z', 'profile k @3 w'], 0],
    ['the last missing', ['profile l @1 z', 'profile k @2 y'], 1],
    ['a key missing', ['profile k @3 w'], 1],
    ['a value twice', ['profile l @1 z', 'profile k @2 y', 'profile k @2 y', 'profile k @3 w'], 1],
    ['back to an older value', ['profile l @1 z', 'profile k @3 w', 'profile k @2 y'], 1],
    ['a key of nobody', ['profile l @1 z', 'profile k @3 w', 'profile m @1 x'], 1],
  ])('%s', (_, lines, count) => expect(differences(new LatestValues(place, tasks), lines)).toBe(count))
})
