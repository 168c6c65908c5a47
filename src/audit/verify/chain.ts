import { hash } from 'node:crypto'
import type { TrailEvent } from '../../catalog/trail.js'
import { finding, placeOf, type TrailCode, type TrailFinding } from './finding.js'

/** What an event's body says. */
export interface EventBody {
  action: string
  actor: { login: string; name: string; proof: 'proven' | 'asserted' }
  at: string
  chain: string
  payload: string
  prev: string
  seq: number
  subject: string
  v: number
}

const GENESIS = '0'.repeat(64)

/**
 * Checks one chain from its first event on, one event at a time. Pure: it asks nothing but what it is given, so that an
 * exported trail is checked offline by the same words. Only the first thing that is wrong is told: after it nothing fits.
 */
export class ChainCheck {
  readonly chain: string
  #next = 1
  #prev = GENESIS
  #at = Number.NEGATIVE_INFINITY
  /** The first event whose payload is gone, until an event of erasure explains it. */
  #unexplained: TrailEvent | undefined
  broken = false

  constructor(chain: string) {
    this.chain = chain
  }

  /** What is wrong with this event, if anything. */
  add(event: TrailEvent): TrailFinding | undefined {
    if (this.broken) return undefined
    const found = this.#check(event)
    if (found) this.broken = true
    this.#next = event.seq + 1
    this.#prev = event.hash
    this.#at = event.at
    return found
  }

  /** What is wrong with the chain as a whole, when its last event was added. */
  end(): TrailFinding | undefined {
    if (this.broken || !this.#unexplained) return undefined
    return wrong('payload.missing', this.#unexplained, 'has lost what it said, and no later event tells of an erasure.')
  }

  #check(event: TrailEvent): TrailFinding | undefined {
    if (event.seq !== this.#next) return this.#outOfLine(event)
    if (hash('sha256', event.body) !== event.hash)
      return wrong('event.edited', event, 'does not have the hash of its body.')
    const body = readEvent(event.body)
    if (!body) return wrong('event.edited', event, 'is not in the form in which events are written.')
    if (body.chain !== event.chain || body.seq !== event.seq) {
      return wrong('event.moved', event, `was written as ${placeOf(body)}.`)
    }
    if (body.action !== event.action || Date.parse(body.at) !== event.at) {
      return wrong('event.edited', event, 'says something else in its body than beside it.')
    }
    if (body.prev !== this.#prev) return wrong('event.unlinked', event, 'does not follow the event before it.')
    if (event.at < this.#at) return wrong('clock.back', event, 'is older than the event before it.')
    return this.#checkPayload(event, body)
  }

  #outOfLine(event: TrailEvent): TrailFinding {
    const { chain } = event
    if (event.seq > this.#next) {
      const missing = { chain, seq: this.#next }
      return finding('event.missing', placeOf(missing), `Event ${placeOf(missing)} is missing.`)
    }
    return wrong('event.unlinked', event, `stands where #${this.#next} belongs.`)
  }

  #checkPayload(event: TrailEvent, body: EventBody): TrailFinding | undefined {
    if (event.action === 'audit.erase') this.#unexplained = undefined
    if (event.salt === null || event.payload === null) {
      this.#unexplained ??= event
      return undefined
    }
    const salted = Buffer.concat([event.salt, Buffer.from(event.payload)])
    if (hash('sha256', salted) === body.payload) return undefined
    return wrong('payload.edited', event, 'says something else than it was written with.')
  }
}

function wrong(code: TrailCode, event: TrailEvent, what: string): TrailFinding {
  return finding(code, placeOf(event), `Event ${placeOf(event)} ${what}`)
}

/** The body, when it is written exactly as the append function writes it: nothing beside, twice or in another order. */
export function readEvent(text: string): EventBody | undefined {
  let said: EventBody | null
  try {
    said = JSON.parse(text) as EventBody | null
  } catch {
    return undefined
  }
  if (said === null) return undefined
  const { action, actor, at, chain, payload, prev, seq, subject } = said
  const s = JSON.stringify
  const written =
    `{"action":${s(action)},"actor":{"login":${s(actor?.login)},"name":${s(actor?.name)},"proof":${s(actor?.proof)}}` +
    `,"at":"${at}","chain":${s(chain)},"payload":"${payload}","prev":"${prev}","seq":${seq},"subject":${s(subject)},"v":1}`
  return written === text ? said : undefined
}
