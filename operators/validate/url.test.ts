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
