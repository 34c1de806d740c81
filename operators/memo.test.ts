import { expect, test } from 'vitest'
import { memoised } from './memo.ts'

test('an answer is derived once while it is in use, and memory stays bounded', () => {
  const asked: string[] = []
  const upper = memoised((text) => {
    asked.push(text)
    return text.toUpperCase()
  }, 2)
  for (const text of ['a', 'b', 'a', 'c', 'a', 'd', 'a', 'e', 'a']) expect(upper(text)).toBe(text.toUpperCase())
  expect(asked).toEqual(['a', 'b', 'c', 'd', 'e'])
  upper('b')
  expect(asked.at(-1)).toBe('b')
})
