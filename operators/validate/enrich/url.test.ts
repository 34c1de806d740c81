import fc from 'fast-check'
import { expect, test } from 'vitest'
import { urlParts } from './url.ts'

const parts = (url: string) => {
  const found = urlParts(url)
  return found && [found.scheme, found.host, found.port, found.path, found.query, found.fragment]
}

test.each<[string, unknown]>([
  ['https://shop.example/a/b?c=d&e=%20f#g?h', ['https', 'shop.example', 443, '/a/b', 'c=d&e=%20f', 'g?h']],
  ['http://shop.example', ['http', 'shop.example', 80, null, null, null]],
  ['HTTPS://Shop.Example/', ['HTTPS', 'Shop.Example', 443, '/', null, null]],
  ['http://shop.example:8080?#', ['http', 'shop.example', 8080, null, null, null]],
  ['https://user:secret@shop.example:9/x', ['https', 'shop.example', 9, '/x', null, null]],
  ['http://[2001:db8::1]:81/x', ['http', '[2001:db8::1]', 81, '/x', null, null]],
  ['app://shop.example/x', ['app', 'shop.example', 80, '/x', null, null]],
  ['file:///etc/passwd', null],
  ['/relative', null],
  ['javascript:alert(1)', null],
  ['http://a:b:c/', null],
  ['http://a:99999/', null],
  ['', null],
])('%s', (url, expected) => {
  expect(parts(url)).toEqual(expected)
})

test('what may not stand in a URL is encoded, what is encoded is left alone', () => {
  expect(urlParts(' http://a.example/größe 42/{x}?q=50%&r=%41|"\n')?.text).toBe(
    'http://a.example/größe%2042/%7Bx%7D?q=50%25&r=%41%7C%22',
  )
})

test('any text is a URL or none; what is one reads the same again, and its parts make it up', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('%', '%2', '%zz', '%41', ' ', 'é', '\ud800', '?', '#', '/', ':', '@', '[::1]'),
  )
  const url = fc.oneof(
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc.array(part).map((parts) => parts.join('')),
    fc
      .tuple(fc.constantFrom('https://shop.example', 'http://a:81', 'app://x'), fc.array(part))
      .map(([host, parts]) => host + parts.join('')),
  )
  fc.assert(
    fc.property(url, (text) => {
      const found = urlParts(text)
      if (!found) return
      expect(urlParts(found.text)).toEqual(found)
      expect(/[\s"<>\\^`{|}]|%(?![0-9a-fA-F]{2})/.test(found.text)).toBe(false)
      const { scheme, host, path, query, fragment } = found
      expect(found.text.startsWith(`${scheme}://`)).toBe(true)
      expect(found.text).toContain(host)
      // an empty query or fragment is none, though its mark may stand there
      const marked = (mark: string, part: string | null) => (part === null ? ['', mark] : [mark + part])
      const tails = marked('?', query).flatMap((q) => marked('#', fragment).map((f) => `${path ?? ''}${q}${f}`))
      expect(tails.some((tail) => found.text.endsWith(tail))).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('what a browser calls a web address is one here, of the same host and port', () => {
  fc.assert(
    fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (text) => {
      const browser = new URL(text)
      const found = urlParts(text)!
      expect(found.host.toLowerCase()).toBe(browser.hostname)
      expect(found.port).toBe(Number(browser.port || (browser.protocol === 'https:' ? 443 : 80)))
      expect((found.query ?? '').replaceAll("'", '%27')).toBe(browser.search.slice(1))
      expect(found.fragment ?? '').toBe(browser.hash.slice(1))
    }),
  )
})
