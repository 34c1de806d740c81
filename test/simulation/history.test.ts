import { afterAll, describe, expect, test } from 'vitest'
import { differencesOf, loadHistory } from './history.ts'

/** How often what makes it hard came about. */
const marks = { merges: 0, refused: 0, kills: 0, differsWithoutTurns: 0 }

describe('a history comes to the same, whoever runs the tasks, and whenever they are killed', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', async (seed) => {
    const here = await loadHistory(seed, 'here')
    const cluster = await loadHistory(seed, 'cluster')
    expect(differencesOf(here, cluster)).toEqual([])
    const free = await loadHistory(seed, 'free')
    marks.merges += here.merges
    marks.refused += here.refused
    marks.kills += cluster.kills
    marks.differsWithoutTurns += Number(differencesOf(here, free).length > 0)
  })

  afterAll(() => {
    for (const [mark, times] of Object.entries(marks)) expect(times, mark).toBeGreaterThan(0)
  })
})
