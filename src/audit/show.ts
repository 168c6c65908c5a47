import type { Json } from '../canonical.js'
import { tenantChain } from '../catalog/audit.js'
import type { Queryable } from '../catalog/catalog.js'
import { eventAt, type TrailEvent, tenantIdOf } from '../catalog/trail.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import { readEvent } from './verify/chain.js'
import { placeOf } from './verify/finding.js'

/** An event for people: what was hashed, taken apart. */
export interface ShownEvent {
  /** As `audit show` and `--before` take it. */
  event: string
  at: Date
  action: string
  subject: string
  actor: string
  proof: string
  login: string
  /** Before and after, the reason; null when it was erased. */
  payload: Json | null
  hash: string
  prev: string
}

export function shownEvent(event: TrailEvent): ShownEvent {
  const body = readEvent(event.body)
  const { actor, subject = '-', prev = '-' } = body ?? {}
  return {
    event: placeOf(event),
    at: new Date(event.at),
    action: event.action,
    subject,
    actor: actor?.name ?? '-',
    proof: actor?.proof ?? '-',
    login: actor?.login ?? '-',
    payload: event.payload === null ? null : (JSON.parse(event.payload) as Json),
    hash: event.hash,
    prev
  }
}

/** One event by its place, as `tenant:<id>#5`. EVENT_NOT_FOUND when there is none. */
export async function findEvent(q: Queryable, place: string): Promise<ShownEvent> {
  const { chain, seq } = parsePlace(place)
  const event = await eventAt(q, chain, seq)
  if (event) return shownEvent(event)
  throw new SaasctlError('EVENT_NOT_FOUND', `The audit trail has no event ${quoteInput(place)}.`, {
    hint: 'List them with "saasctl audit list".'
  })
}

/** INVALID_INPUT for what is no place. */
export function parsePlace(place: string): { chain: string; seq: number } {
  const [, chain, seq] = /^(.+)#(\d{1,15})$/s.exec(place) ?? []
  if (chain !== undefined) return { chain, seq: Number(seq) }
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(place)} is not an event of the audit trail.`, {
    hint: 'Write it as "saasctl audit list" shows it, as in server#3.'
  })
}

/** The chain of a tenant, by its slug, or by its id when it is gone. */
export async function chainOfTenant(q: Queryable, slugOrId: string): Promise<string> {
  const id = await tenantIdOf(q, slugOrId)
  if (id !== undefined) return tenantChain(id)
  throw new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(slugOrId)}.`, {
    hint: 'Name one that is gone by its id.'
  })
}
