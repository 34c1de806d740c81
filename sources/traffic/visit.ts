/** One visit to the shop, step by step: what a person, or a crawler, does there. */

import type { Random } from '../../runtime/random.ts'
import type { Catalogue, Product } from './catalogue.ts'
import type { Person } from './people.ts'

/** What the shop's tracker is told. Schemas are names of vendor com.example.shop, version 1-0-0, unless they are whole keys. */
export type Action = {
  /** A page view, or the schema of a self-describing event. */
  readonly event: 'page_view' | (string & {})
  readonly data: Readonly<Record<string, unknown>>
  readonly entities: readonly Entity[]
  readonly path: string
  readonly title: string
  /** Signed in from here on (a user id), or signed out (null); unset leaves it as it was. */
  readonly user?: string | null
  /** Sent by the shop's own server, which knows the user but not the device. */
  readonly fromServer?: boolean
}

export type Entity = { readonly schema: string; readonly data: Readonly<Record<string, unknown>> }

/** An action, and the share of the usual thinking time that passes before it. */
export type Step = { readonly pause: number; readonly action: Action }

/** What the shop remembers of a person between visits. */
export type Customer = {
  readonly person: Person
  visits: number
  signedUp: boolean
  askedConsent: boolean
  subscribed: boolean
  /** At most 5 lines. */
  cart: readonly CartLine[]
  orders: number
}

export type CartLine = { readonly product: Product; readonly quantity: number }

export const consentSchema = 'iglu:com.snowplowanalytics.snowplow/consent_preferences/jsonschema/1-0-0'

/** Who is signed in on the device as the visit begins. */
export type Seat = { readonly signedIn: string | null }

/** A person's visit. Reads and changes the customer as its steps are taken. */
export function* visit(customer: Customer, seat: Seat, catalogue: Catalogue, random: Random): Generator<Step, void> {
  const { person } = customer
  const firstVisit = customer.visits++ === 0
  let signedIn = seat.signedIn === person.userId
  if (seat.signedIn !== null && !signedIn) yield step(0, signOut)

  yield step(0, landing(catalogue, random))
  if (!customer.askedConsent && random.chance(0.6)) {
    customer.askedConsent = true
    yield step(0.3, consent(random.pick(consentAnswers)))
  }
  if (random.chance(firstVisit ? 0.55 : 0.3)) return // looked, and left

  if (customer.signedUp && !signedIn && random.chance(0.85)) {
    signedIn = true
    yield step(0.7, logIn(customer, random))
  }
  let list = 'category'
  if (random.chance(0.2)) {
    list = 'search'
    yield step(0.6, search(random.pick(catalogue.products).category, random.below(20)))
  }
  for (let looks = random.between(1, firstVisit ? 2 : 4); looks > 0; looks--) {
    const product = catalogue.products[random.zipf(catalogue.products.length, 0.6)]!
    yield step(1, productView(product, list, catalogue))
    if (random.chance(0.3)) {
      const line = { product, quantity: random.chance(0.85) ? 1 : 2 }
      customer.cart = [...customer.cart.filter((other) => other.product !== product), line].slice(-5)
      yield step(0.8, addToCart(customer, line, catalogue))
    }
    list = 'recommendation'
  }

  if (!customer.subscribed && random.chance(0.04)) {
    customer.subscribed = true
    yield step(0.5, newsletter(person))
  }
  const buys = customer.cart.length > 0 && random.chance(0.45)
  if (!customer.signedUp && random.chance(buys ? 0.9 : 0.08)) {
    customer.signedUp = true
    signedIn = true
    yield step(1.2, signUp(customer))
  }
  if (buys && customer.signedUp) {
    if (!signedIn) yield step(0.8, logIn(customer, random))
    signedIn = true
    const lines = customer.cart
    customer.cart = []
    yield step(1.5, purchase(customer, lines, catalogue, random))
  } else if (customer.cart.length > 0 && random.chance(0.15)) {
    const [dropped, ...kept] = customer.cart
    customer.cart = kept
    yield step(0.6, removeFromCart(customer, dropped!, catalogue))
  }
  if (signedIn && random.chance(0.25)) yield step(0.5, signOut)
}

/** A crawler's visit: pages in quick succession, and no interest in anything. */
export function* crawl(catalogue: Catalogue, random: Random): Generator<Step, void> {
  for (let pages = random.between(10, 40); pages > 0; pages--) {
    const product = random.pick(catalogue.products)
    yield step(
      0.02,
      random.chance(0.5)
        ? page(`/c/${product.category}`, product.category)
        : productView(product, 'category', catalogue),
    )
  }
}

const step = (pause: number, action: Action): Step => ({ pause, action })

const page = (path: string, title: string): Action => ({ event: 'page_view', data: {}, entities: [], path, title })

function landing(catalogue: Catalogue, random: Random): Action {
  const { category } = random.pick(catalogue.products)
  if (random.chance(0.4)) return page('/', 'Example Shop')
  if (random.chance(0.5)) return page(`/c/${category}`, category)
  return page(`/c/${category}?utm_source=newsletter&utm_medium=email&utm_campaign=${category}-season`, category)
}

const purposes = ['marketing', 'analytics', 'personalization']
const consentAnswers: readonly ConsentAnswer[] = [
  { eventType: 'allow_all', consentScopes: purposes },
  { eventType: 'allow_all', consentScopes: purposes },
  { eventType: 'allow_all', consentScopes: purposes },
  { eventType: 'allow_selected', consentScopes: ['analytics'] },
  { eventType: 'deny_all', consentScopes: [] },
]

type ConsentAnswer = { readonly eventType: string; readonly consentScopes: readonly string[] }

function consent({ eventType, consentScopes }: ConsentAnswer): Action {
  const data = {
    eventType,
    basisForProcessing: 'consent',
    consentUrl: 'https://shop.example.com/privacy',
    consentVersion: '3.1',
    consentScopes,
    domainsApplied: ['shop.example.com'],
    gdprApplies: true,
  }
  return { ...page('/', 'Example Shop'), event: consentSchema, data }
}

function search(term: string, results: number): Action {
  return { ...page(`/search?q=${term}`, 'Search'), event: 'search', data: { term, results } }
}

function productView(product: Product, list: string, catalogue: Catalogue): Action {
  return {
    event: 'product_view',
    data: { list, position: catalogue.products.indexOf(product) + 1 },
    entities: [productEntity(product, null, catalogue)],
    path: `/p/${product.sku}`,
    title: product.name,
  }
}

function addToCart(customer: Customer, line: CartLine, catalogue: Catalogue): Action {
  return { ...cartAction(customer, line, catalogue), event: 'add_to_cart', data: { quantity: line.quantity } }
}

function removeFromCart(customer: Customer, line: CartLine, catalogue: Catalogue): Action {
  const data = { quantity: line.quantity, reason: 'visitor' }
  return { ...cartAction(customer, line, catalogue), event: 'remove_from_cart', data }
}

/** The cart as it stands after the action. */
function cartAction(customer: Customer, { product, quantity }: CartLine, catalogue: Catalogue): Action {
  const { person, cart, orders } = customer
  const cartData = {
    cart_id: `c-${person.userId}-${orders}`,
    total_value: total(cart),
    currency: catalogue.currency,
    items: pieces(cart),
  }
  return {
    ...page(`/p/${product.sku}`, product.name),
    entities: [productEntity(product, quantity, catalogue), { schema: 'cart', data: cartData }],
  }
}

/** The order is recorded by the browser, or by the shop's server where the browser's tracker was blocked. */
function purchase(customer: Customer, lines: readonly CartLine[], catalogue: Catalogue, random: Random): Action {
  const { person } = customer
  const orderId = `o-${person.userId}-${++customer.orders}`
  const order = { order_id: orderId, shipping_method: random.pick(['standard', 'express', 'pickup']), gift: false }
  return {
    ...page('/checkout/thanks', 'Thank you'),
    event: 'purchase',
    data: {
      order_id: orderId,
      total: total(lines),
      currency: catalogue.currency,
      items: pieces(lines),
      payment_method: random.pick(['card', 'card', 'paypal', 'invoice']),
    },
    entities: [
      ...lines.map(({ product, quantity }) => productEntity(product, quantity, catalogue)),
      { schema: 'order', data: order },
    ],
    user: person.userId,
    fromServer: random.chance(0.15),
  }
}

function signUp(customer: Customer): Action {
  const { email, firstName, country, userId } = customer.person
  return {
    ...page('/account/new', 'Welcome'),
    event: 'sign_up',
    data: { method: 'email', email, first_name: firstName, country },
    entities: [userEntity(customer)],
    user: userId,
  }
}

/** Half of the people have their phone write their e-mail with a capital. */
function logIn(customer: Customer, random: Random): Action {
  const { email, userId } = customer.person
  const typed = random.chance(0.5) ? email : email.replace(/^./, (first) => first.toUpperCase())
  return {
    ...page('/account/sign-in', 'Sign in'),
    event: 'log_in',
    data: { method: 'email', email: typed },
    entities: [userEntity(customer)],
    user: userId,
  }
}

const signOut: Action = { ...page('/account/sign-out', 'Signed out'), user: null }

function newsletter({ email }: Person): Action {
  return { ...page('/newsletter', 'Newsletter'), event: 'newsletter_subscribe', data: { email, placement: 'footer' } }
}

function productEntity(product: Product, quantity: number | null, { currency }: Catalogue): Entity {
  const { sku, name, category, brand, price } = product
  return { schema: 'product', data: { sku, name, category, brand, price, currency, quantity } }
}

function userEntity({ person, orders }: Customer): Entity {
  const { userId, email, firstName, country } = person
  const tier = tiers[Math.min(orders, tiers.length - 1)]
  return { schema: 'user', data: { user_id: userId, email, first_name: firstName, tier, country } }
}

/** By orders so far. */
const tiers = ['basic', 'basic', 'silver', 'gold', 'vip']

const pieces = (lines: readonly CartLine[]): number => lines.reduce((sum, { quantity }) => sum + quantity, 0)

/** In cents underneath, so that no sum has a tail. */
function total(lines: readonly CartLine[]): number {
  return lines.reduce((cents, { product, quantity }) => cents + Math.round(product.price * 100) * quantity, 0) / 100
}
