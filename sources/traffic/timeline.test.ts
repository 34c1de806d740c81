import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Timeline } from './timeline.ts'

test('a timeline is a stable sort by time, however adding and taking mix', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 }), { nil: null })), (moves) => {
      const timeline = new Timeline<{ atMs: number; order: number }>()
      let waiting: { atMs: number; order: number }[] = []
      moves.forEach((atMs, order) => {
        if (atMs !== null) {
          timeline.add(atMs, { atMs, order })
          waiting = [...waiting, { atMs, order }].sort((a, b) => a.atMs - b.atMs || a.order - b.order)
          return
        }
        expect(timeline.nextAtMs).toBe(waiting[0]?.atMs ?? Number.POSITIVE_INFINITY)
        expect(timeline.take()).toEqual(waiting.shift())
      })
      expect(timeline.size).toBe(waiting.length)
    }),
  )
})
