import { expect, test } from 'vitest'
import type { RefererRule } from '../../../schemas/definitions.ts'
import { enriching, eventOf, pageView, rawOf } from '../testing.ts'

const rule: RefererRule = {
  internalDomains: ['blog.example', '*.shop.example'],
  sources: [
    { medium: 'search', source: 'Finder', domains: ['finder.example'], parameters: ['q', 'query'] },
    { medium: 'paid', source: 'Finder Deals', domains: ['finder.example/deals'], parameters: [] },
    { medium: 'partner', source: 'Our Bing', domains: ['bing.com'], parameters: [] },
  ],
}

function refererOf(refr: string | null, url = 'https://shop.example/') {
  const raw = rawOf({ ...pageView, url, ...(refr === null ? {} : { refr }) })
  const { refr_medium, refr_source, refr_term } = eventOf(raw, enriching({ referers: rule }))
  return [refr_medium, refr_source, refr_term]
}

test.each<[string | null, unknown]>([
  [null, [null, null, null]],
  ['https://www.google.com/search?q=trail+shoes', ['search', 'Google', 'trail shoes']],
  ['https://www.google.co.uk/', ['search', 'Google', null]],
  ['https://GOOGLE.com.br/', ['search', 'Google', null]],
  ['https://www.google.com/imgres?q=hat', ['search', 'Google Images', 'hat']],
  ['https://www.google.com/imgres/more', ['search', 'Google Images', null]],
  ['https://mail.google.com/mail/u/0/', ['email', 'Gmail', null]],
  ['https://google.evil.example/', ['unknown', null, null]],
  ['https://notgoogle.com/', ['unknown', null, null]],
  ['android-app://com.google.android.gm', ['email', 'Gmail', null]],
  ['https://l.facebook.com/l.php?u=x', ['social', 'Facebook', null]],
  ['https://chatgpt.com/', ['chatbot', 'ChatGPT', null]],
  ['https://finder.example/?query=b&q=a', ['search', 'Finder', 'b']],
  ['https://www.finder.example/deals/today', ['paid', 'Finder Deals', null]],
  ['https://www.bing.com/search?q=x', ['partner', 'Our Bing', null]],
  ['https://shop.example/shoes', ['internal', null, null]],
  ['https://checkout.shop.example/', ['internal', null, null]],
  ['https://blog.example/', ['internal', null, null]],
  ['https://de.blog.example/', ['unknown', null, null]],
  ['https://203.0.113.9/', ['unknown', null, null]],
  ['no url', [null, null, null]],
])('%s', (refr, expected) => {
  expect(refererOf(refr)).toEqual(expected)
})

test('a chatbot that hides the referrer says who it is by utm_source; nobody else is taken for one', () => {
  expect(refererOf(null, 'https://shop.example/?utm_source=chatgpt.com')).toEqual(['chatbot', 'ChatGPT', null])
  expect(refererOf(null, 'https://shop.example/?utm_source=google.com')).toEqual([null, null, null])
  expect(refererOf('https://blog.example/', 'https://shop.example/?utm_source=chatgpt.com')[0]).toBe('internal')
})
