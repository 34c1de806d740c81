import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PatternError, patternOf } from './pattern.ts'

describe('a pattern is read as Java reads it', () => {
  test.each<[string, string, boolean]>([
    ['^a$', 'a\n', true],
    ['^a\\z', 'a\n', false],
    ['^a.$', 'a\u0085', false],
    ['b', 'abc', true],
    ['^\\s$', '\u00a0', false],
    ['^\\h$', '\u00a0', true],
    ['^\\w+$', 'ä', false],
    ['^\\p{L}+$', 'äb', true],
    ['^\\P{L}+$', 'a', false],
    ['^\\p{Alpha}+$', 'ab', true],
    ['^\\p{IsCyrillic}+$', 'да', true],
    ['^[\\w.-]+$', 'a-b.c', true],
    ['^[^\\]]$', ']', false],
    ['^[a-c[x-z]]+$', 'axz', true],
    ['^\\Qa.b\\E$', 'a.b', true],
    ['^\\u0041\\x42\\x{43}$', 'ABC', true],
    ['(?i)^abc$', 'ABC', true],
    ['^a(?i)b$', 'aB', true],
    ['^a(?i)b$', 'AB', false],
    ['^(?i:a)b$', 'Ab', true],
    ['(?s)^a.b$', 'a\nb', true],
    ['^a.b$', 'a\nb', false],
    ['^a{2,3}$', 'aaaa', false],
    ['^a{0}$', '', true],
    ['^.$', '😀', true],
    ['^(?=.*[a-z])(?=.*\\d).{8,}$', 'abcdefg1', true],
    ['^(?=.*[a-z])(?=.*\\d).{8,}$', 'abcdefgh', false],
    ['^(?!.*admin).*$', 'an admin', false],
    ['^(?!.*admin).*$', 'a guest', true],
    ['\\bcat\\b', 'a cat!', true],
  ])('%s over %j', (pattern, text, matches) => {
    expect(patternOf(pattern).test(text)).toBe(matches)
  })

  test.each([
    '(',
    ')',
    '[a',
    'a**',
    '(a)\\1',
    '(?<=a)b',
    'a(?=b)c',
    'a++',
    '(?>a)b',
    '\\y',
    'a{3,2}',
    '[z-a]',
    '[a-c&&b]',
    '\\p{No_such}',
  ])('%s is refused', (pattern) => {
    expect(() => patternOf(pattern)).toThrow(PatternError)
  })
})

describe('no pattern makes a text a stall', () => {
  test.each([
    '^(a+)+$',
    '(a+)+$',
    '^(a|aa)+$',
    '^(a|a)*$',
    '(.*)*x',
    '^(.*a){20}$',
    '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
    '(a?){30}a{30}$',
    'a*a*a*a*a*a*b',
    '[^@]+@[^@]+\\.x',
    '^(?=(a+)+$)(?!(a|a)*c).*b$',
  ])('%s', (pattern) => {
    const matcher = patternOf(pattern)
    const startMs = performance.now()
    for (const text of ['a'.repeat(100_000), `${'a'.repeat(50_000)}!`, 'a@'.repeat(20_000)]) matcher.test(text)
    // a backtracking engine would need ages: the bound allows for a slow machine and no more
    expect(performance.now() - startMs).toBeLessThan(5_000)
  })
})

test('the pattern of plain parts agrees with the engine of the language', () => {
  const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '(?:ab|c)', '(?:a|b)', '\\d', 'x-y')
  const count = fc.constantFrom('', '?', '*', '+', '{2}', '{1,3}', '{2,}')
  const piece = fc.tuple(atom, count).map(([of, times]) => (of.length > 1 && !/^[[(\\]/.test(of) ? of : of + times))
  const pattern = fc
    .tuple(fc.constantFrom('', '^'), fc.array(piece, { maxLength: 4 }), fc.constantFrom('', '$'))
    .map(([start, pieces, end]) => start + pieces.join('') + end)
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', 'x', '-', 'y'), maxLength: 12 })
  fc.assert(
    fc.property(pattern, text, (source, value) => {
      expect(patternOf(source).test(value)).toBe(new RegExp(source, 'u').test(value))
    }),
    { numRuns: 2_000 },
  )
})
