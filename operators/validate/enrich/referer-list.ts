/**
 * Referrers everybody knows. Small on purpose: a workspace brings what it needs in `referers.yaml`, which is looked at
 * first. Written by hand from what these sites call themselves.
 */
import type { RefererSource } from '../../../schemas/definitions.ts'

const of =
  (medium: string) =>
  (source: string, domains: string, parameters = ''): RefererSource => ({
    medium,
    source,
    domains: domains.split(' '),
    parameters: parameters === '' ? [] : parameters.split(' '),
  })

const search = of('search')
const social = of('social')
const email = of('email')
const chatbot = of('chatbot')

export const builtInReferers: readonly RefererSource[] = [
  email('Gmail', 'mail.google.com inbox.google.com com.google.android.gm'),
  email('Outlook', 'outlook.live.com outlook.office.com outlook.office365.com mail.live.com'),
  email('Yahoo! Mail', 'mail.yahoo.com mail.yahoo.co.jp'),
  email('AOL Mail', 'mail.aol.com'),
  email('iCloud Mail', 'mail.icloud.com'),
  email('Proton Mail', 'mail.proton.me mail.protonmail.com'),
  email('GMX', 'gmx.net gmx.de gmx.at gmx.ch'),
  email('WEB.DE', 'web.de'),
  email('T-Online', 'email.t-online.de'),
  email('Yandex Mail', 'mail.yandex.ru mail.yandex.com'),
  email('Mail.ru', 'e.mail.ru'),

  chatbot('ChatGPT', 'chatgpt.com chat.openai.com'),
  chatbot('Claude', 'claude.ai'),
  chatbot('Gemini', 'gemini.google.com bard.google.com'),
  chatbot('Microsoft Copilot', 'copilot.microsoft.com copilot.com'),
  chatbot('Perplexity', 'perplexity.ai'),
  chatbot('Mistral', 'chat.mistral.ai'),
  chatbot('DeepSeek', 'chat.deepseek.com'),
  chatbot('Grok', 'grok.com x.com/i/grok'),
  chatbot('Meta AI', 'meta.ai'),
  chatbot('Poe', 'poe.com'),

  social('Facebook', 'facebook.com fb.com fb.me messenger.com'),
  social('Instagram', 'instagram.com'),
  social('Threads', 'threads.net threads.com'),
  social('WhatsApp', 'whatsapp.com wa.me'),
  social('Twitter', 'twitter.com x.com t.co'),
  social('LinkedIn', 'linkedin.com lnkd.in'),
  social('YouTube', 'youtube.com youtu.be'),
  social('TikTok', 'tiktok.com'),
  social('Pinterest', 'pinterest.* pin.it'),
  social('Reddit', 'reddit.com redd.it'),
  social('Snapchat', 'snapchat.com'),
  social('Telegram', 't.me telegram.org telegram.me'),
  social('Discord', 'discord.com'),
  social('Bluesky', 'bsky.app'),
  social('Mastodon', 'mastodon.social mastodon.online'),
  social('Tumblr', 'tumblr.com'),
  social('Quora', 'quora.com'),
  social('Xing', 'xing.com'),
  social('VK', 'vk.com vk.ru'),
  social('Odnoklassniki', 'ok.ru'),
  social('Weibo', 'weibo.com weibo.cn'),
  social('Flickr', 'flickr.com'),
  social('Vimeo', 'vimeo.com'),
  social('Twitch', 'twitch.tv'),
  social('Hacker News', 'news.ycombinator.com'),
  social('GitHub', 'github.com'),
  social('Stack Overflow', 'stackoverflow.com'),
  social('Nextdoor', 'nextdoor.com'),

  search('Google Images', 'images.google.com google.com/imgres', 'q'),
  search('Google', 'google.* com.google.android.googlequicksearchbox', 'q'),
  search('Bing', 'bing.com', 'q'),
  search('Yahoo!', 'search.yahoo.com search.yahoo.co.jp', 'p'),
  search('DuckDuckGo', 'duckduckgo.com', 'q'),
  search('Ecosia', 'ecosia.org', 'q'),
  search('Qwant', 'qwant.com', 'q'),
  search('Startpage', 'startpage.com', 'query q'),
  search('Brave Search', 'search.brave.com', 'q'),
  search('Kagi', 'kagi.com', 'q'),
  search('Yandex', 'yandex.* ya.ru', 'text'),
  search('Baidu', 'baidu.com', 'wd word'),
  search('Sogou', 'sogou.com', 'query'),
  search('Naver', 'search.naver.com', 'query'),
  search('Daum', 'search.daum.net', 'q'),
  search('Seznam', 'search.seznam.cz', 'q'),
  search('AOL', 'search.aol.com', 'q'),
  search('Ask', 'ask.com', 'q'),
  search('T-Online', 'suche.t-online.de', 'q'),
  search('Mojeek', 'mojeek.com', 'q'),
  search('Swisscows', 'swisscows.com', 'query'),
  search('MetaGer', 'metager.de metager.org', 'eingabe'),
]
