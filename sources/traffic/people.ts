/** Who comes to the shop: people and crawlers, each made from the seed and a number alone, so that a second run meets the same ones. */
import { Random } from '../../runtime/random.ts'

export type Device = {
  readonly domainUserId: string
  readonly networkUserId: string
  readonly userAgent: string
  readonly ipAddress: string
  readonly language: string
  readonly timeZone: string
  readonly screen: string
  readonly view: string
  /** How far its clock is ahead. */
  readonly clockSkewMs: number
}

export type Person = {
  readonly kind: 'person'
  readonly userId: string
  readonly email: string
  readonly firstName: string
  readonly country: string
  /** Own devices, the one most used first. */
  readonly devices: readonly Device[]
  /** Uses the first device of the person before, as families do. */
  readonly sharesDevice: boolean
  /** Chance, after each visit, never to come back. */
  readonly fickleness: number
}

export type Crawler = { readonly kind: 'crawler'; readonly devices: readonly [Device] }

/** The seed's `index`-th visitor; one in a hundred is a crawler. */
export function visitorOf(seed: number, index: number): Person | Crawler {
  const random = new Random(seed, 'visitor', index)
  if (random.chance(0.01)) return { kind: 'crawler', devices: [deviceOf(random, homes[0]!, crawlerAgents)] }
  const home = homes[random.zipf(homes.length, 0.5)]!
  const first = random.pick(firstNames)
  const last = random.pick(lastNames)
  const devices = [deviceOf(random, home, random.chance(0.55) ? mobileAgents : desktopAgents)]
  if (random.chance(0.45)) devices.push(deviceOf(random, home, desktopAgents))
  if (random.chance(0.2)) devices.push(deviceOf(random, home, mobileAgents))
  return {
    kind: 'person',
    userId: `u-${String(index).padStart(6, '0')}`,
    email: `${first}.${last}.${index}@${random.pick(mailHosts)}`.toLowerCase(),
    firstName: first,
    country: home.country,
    devices,
    sharesDevice: index > 0 && random.chance(0.04),
    fickleness: random.pick([0.02, 0.1, 0.3, 0.5]),
  }
}

type Home = { readonly country: string; readonly language: string; readonly timeZone: string; readonly network: number }

function deviceOf(random: Random, home: Home, agents: readonly string[]): Device {
  const mobile = agents === mobileAgents
  const screen = random.pick(mobile ? mobileScreens : desktopScreens)
  return {
    domainUserId: random.uuid(),
    networkUserId: random.uuid(),
    userAgent: random.pick(agents),
    ipAddress: `${home.network}.${random.below(256)}.${random.below(256)}.${random.between(1, 254)}`,
    language: home.language,
    timeZone: home.timeZone,
    screen,
    view: mobile ? screen : screen.replace(/\d+$/, (height) => String(Number(height) - 140)),
    clockSkewMs: random.chance(0.03) ? random.between(-7_200_000, 600_000) : 0,
  }
}

const homes: readonly Home[] = [
  { country: 'DE', language: 'de-DE', timeZone: 'Europe/Berlin', network: 91 },
  { country: 'GB', language: 'en-GB', timeZone: 'Europe/London', network: 82 },
  { country: 'FR', language: 'fr-FR', timeZone: 'Europe/Paris', network: 90 },
  { country: 'NL', language: 'nl-NL', timeZone: 'Europe/Amsterdam', network: 83 },
  { country: 'US', language: 'en-US', timeZone: 'America/New_York', network: 73 },
  { country: 'ES', language: 'es-ES', timeZone: 'Europe/Madrid', network: 88 },
]

const firstNames = [
  'Ada',
  'Ben',
  'Chloe',
  'David',
  'Elif',
  'Finn',
  'Greta',
  'Hugo',
  'Ines',
  'Jonas',
  'Kaja',
  'Leo',
  'Mira',
  'Noah',
  'Olga',
  'Paul',
]
const lastNames = [
  'Becker',
  'Clarke',
  'Dubois',
  'Evers',
  'Fischer',
  'Garcia',
  'Hughes',
  'Jansen',
  'Keller',
  'Martin',
  'Novak',
  'Smith',
  'Visser',
  'Wolf',
]
const mailHosts = ['example.com', 'example.org', 'mail.example.net']

const desktopAgents = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
]
const mobileAgents = [
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
]
const crawlerAgents = [
  'ExampleBot/2.1 (+https://bot.example.net/about)',
  'Mozilla/5.0 (compatible; PriceSpider/1.4; +https://prices.example.org/bot)',
]
const desktopScreens = ['1920x1080', '2560x1440', '1440x900']
const mobileScreens = ['393x852', '412x915']
