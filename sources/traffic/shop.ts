/** The shop and its visitors: a simulation that yields what arrives at the collector, in order of arrival. */

import { Random } from '../../runtime/random.ts'
import { type Catalogue, retailCatalogue } from './catalogue.ts'
import { type FaultRates, type Flaw, flaws, spoil } from './faults.ts'
import { type Crawler, type Device, type Person, visitorOf } from './people.ts'
import { Timeline } from './timeline.ts'
import { type Browser, type Params, track } from './tracker.ts'
import { type Action, type Customer, crawl, type Step, visit } from './visit.ts'

export type ShopOptions = {
  /** Who there is: people, their devices, their names. */
  readonly seed: number
  /** What they do, and the ids of their events: another run of the same seed has the same people live other days. */
  readonly run?: number | string
  readonly visitors: number
  readonly startMs: number
  /** Mean time between two actions of a person. */
  readonly thinkMs: number
  /** Mean time that a late event waits. */
  readonly delayMs: number
  readonly faults: FaultRates
  /** When the next visit begins, and the chance that somebody new makes it. Asked at the start of every visit. */
  readonly schedule: (progress: Progress) => { readonly gapMs: number; readonly newcomer: number }
  readonly catalogue?: Catalogue
}

export type Progress = {
  readonly nowMs: number
  /** Arrivals so far. */
  readonly arrivals: number
  readonly visits: number
  /** Visitors who have come at least once. */
  readonly met: number
}

/** One event as it reaches the collector. */
export type Arrival = {
  readonly atMs: number
  readonly params: Params
  /** Where it comes from; null: from the shop's own server. */
  readonly device: Device | null
  /** Sent before, and received. */
  readonly duplicate: boolean
  readonly flaw: Flaw | null
}

type Visitor = {
  readonly who: Person | Crawler
  readonly customer: Customer | null
  readonly browsers: readonly Browser[]
  inside: boolean
  silent: boolean
}

type VisitUnderWay = { readonly visitor: Visitor; readonly browser: Browser; readonly steps: Generator<Step, void> }

type Due =
  | { readonly kind: 'opening' }
  | { readonly kind: 'action'; readonly visit: VisitUnderWay; readonly action: Action }
  | { readonly kind: 'arrival'; readonly arrival: Omit<Arrival, 'atMs'> }

/** Milliseconds that an event spends on the wire. */
const wireMs = 60

export class Shop {
  readonly #options: ShopOptions
  readonly #catalogue: Catalogue
  readonly #random: Random
  readonly #timeline = new Timeline<Due>()
  readonly #met: Visitor[] = []
  #arrivals = 0
  #visits = 0

  constructor(options: ShopOptions) {
    this.#options = options
    this.#catalogue = options.catalogue ?? retailCatalogue
    this.#random = new Random(options.seed, 'shop', options.run ?? 0)
    this.#timeline.add(options.startMs, { kind: 'opening' })
  }

  /** The next arrival if it comes by `untilMs`. Visits go on for ever, so without a bound there always is one. */
  next(untilMs = Number.POSITIVE_INFINITY): Arrival | undefined {
    for (;;) {
      const atMs = this.#timeline.nextAtMs
      if (atMs > untilMs) return undefined
      const due = this.#timeline.take()!
      if (due.kind === 'arrival') {
        this.#arrivals++
        return { atMs, ...due.arrival }
      }
      if (due.kind === 'opening') this.#open(atMs)
      else this.#act(atMs, due.visit, due.action)
    }
  }

  #open(nowMs: number): void {
    const random = this.#random
    const progress = { nowMs, arrivals: this.#arrivals, visits: this.#visits, met: this.#met.length }
    const { gapMs, newcomer } = this.#options.schedule(progress)
    this.#timeline.add(nowMs + Math.max(1, Math.round(random.exponential(gapMs))), { kind: 'opening' })

    const known = random.chance(newcomer) ? undefined : this.#pickReturning()
    const visitor = known ?? this.#meet() ?? this.#wake()
    if (!visitor) return
    this.#visits++
    visitor.inside = true
    const browser = visitor.browsers[random.zipf(visitor.browsers.length, 0.3)]!
    browser.visits++
    browser.sessionId = random.uuid()
    const steps = visitor.customer
      ? visit(visitor.customer, browser, this.#catalogue, random)
      : crawl(this.#catalogue, random)
    this.#advance(nowMs, { visitor, browser, steps })
  }

  /** Somebody who was here before, the early ones most often; undefined when a few tries find nobody free. */
  #pickReturning(): Visitor | undefined {
    for (let tries = 0; tries < 5 && this.#met.length > 0; tries++) {
      const visitor = this.#met[this.#random.zipf(this.#met.length)]!
      if (!visitor.inside && !visitor.silent) return visitor
    }
    return undefined
  }

  /** Anybody who is not in the shop already, silent or not: when all have come, some do come back. */
  #wake(): Visitor | undefined {
    const visitor = this.#met[this.#random.below(this.#met.length)]
    if (!visitor || visitor.inside) return undefined
    visitor.silent = false
    return visitor
  }

  /** The next visitor who has not been here; undefined when all have. */
  #meet(): Visitor | undefined {
    const index = this.#met.length
    if (index >= this.#options.visitors) return undefined
    const who = visitorOf(this.#options.seed, index)
    const browsers = who.devices.map((device): Browser => ({ device, visits: 0, sessionId: '', signedIn: null }))
    const neighbour = this.#met[index - 1]
    if (who.kind === 'person' && who.sharesDevice && neighbour?.customer) browsers.push(neighbour.browsers[0]!)
    const customer: Customer | null =
      who.kind === 'crawler'
        ? null
        : { person: who, visits: 0, signedUp: false, askedConsent: false, subscribed: false, cart: [], orders: 0 }
    const visitor: Visitor = { who, customer, browsers, inside: false, silent: false }
    this.#met.push(visitor)
    return visitor
  }

  /** Puts the visit's next step on the timeline, or ends the visit. */
  #advance(nowMs: number, visit: VisitUnderWay): void {
    const { value: step } = visit.steps.next()
    if (step) {
      const pauseMs =
        step.pause === 0 ? 0 : Math.max(1, Math.round(this.#random.exponential(step.pause * this.#options.thinkMs)))
      this.#timeline.add(nowMs + pauseMs, { kind: 'action', visit, action: step.action })
      return
    }
    const { visitor } = visit
    const { who, customer } = visitor
    visitor.inside = false
    if (who.kind === 'person')
      visitor.silent = this.#random.chance(customer?.signedUp ? who.fickleness / 4 : who.fickleness)
  }

  #act(nowMs: number, visit: VisitUnderWay, action: Action): void {
    const { browser } = visit
    if (action.user !== undefined) browser.signedIn = action.user
    const skewMs = action.fromServer ? 0 : browser.device.clockSkewMs
    const moment = { eventId: this.#random.uuid(), createdMs: nowMs + skewMs, host: this.#catalogue.host }
    this.#send(nowMs, skewMs, track(action, browser, moment), action.fromServer ? null : browser.device)
    this.#advance(nowMs, visit)
  }

  /** Sends an event, with whatever goes wrong on the way. */
  #send(nowMs: number, skewMs: number, params: Params, device: Device | null): void {
    const { faults, delayMs } = this.#options
    const random = this.#random
    const add = (sentMs: number, duplicate: boolean, flaw: Flaw | null): void => {
      const stamped = { ...(flaw ? spoil(params, flaw) : params), stm: String(sentMs + skewMs) }
      this.#timeline.add(sentMs + wireMs, { kind: 'arrival', arrival: { params: stamped, device, duplicate, flaw } })
    }
    const sentMs = random.chance(faults.late) ? nowMs + Math.round(random.exponential(delayMs)) : nowMs
    const flaw = random.chance(faults.invalid) ? random.pick(flaws) : null
    add(sentMs, false, flaw)
    if (!flaw && random.chance(faults.duplicate)) add(sentMs + Math.round(random.exponential(delayMs / 10)), true, null)
  }
}
