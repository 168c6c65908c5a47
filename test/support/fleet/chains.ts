import { createHash } from 'node:crypto'
import { canonical, type Json } from '../../../src/canonical.js'
import type { Queryable } from '../../../src/catalog/catalog.js'
import type { Fleet } from './read.js'

interface EventRow {
  chain: string
  seq: number
  action: string
  at: Date
  body: string
  hash: string
  salt: Buffer | null
  payload: string | null
}

interface Head {
  chain: string
  seq: number
  hash: string
}

interface Body {
  chain: string
  seq: number
  prev: string
  action: string
  at: string
  payload: string
}

const sha256 = (...parts: Array<string | Buffer>) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** Recomputes every chain from its first event, and counts the events that must be there exactly once. */
export async function auditChains(catalog: Queryable, fleet: Fleet): Promise<string[]> {
  const events = await catalog.query<EventRow>(
    `select e.chain, e.seq::int, e.action, e.at, e.body, e.hash, p.salt, p.payload
     from saasctl.audit_event e left join saasctl.audit_payload p using (chain, seq) order by e.chain, e.seq`
  )
  const heads = await catalog.query<Head>('select chain, seq::int, hash from saasctl.audit_chain')
  const findings: string[] = []
  for (const head of heads) {
    const own = events.filter(({ chain }) => chain === head.chain)
    findings.push(...chainFindings(head, own))
  }
  const known = new Set(heads.map(({ chain }) => chain))
  for (const { chain, seq } of events) if (!known.has(chain)) findings.push(`Event ${chain}/${seq} has no chain.`)
  return [...findings, ...countFindings(fleet, events)]
}

function chainFindings(head: Head, events: EventRow[]): string[] {
  const findings: string[] = []
  let prev = '0'.repeat(64)
  let last = 0
  const erased = events.findLast(({ action }) => action === 'audit.erase')?.seq ?? 0
  for (const [index, event] of events.entries()) {
    const say = (sentence: string) => findings.push(`Event ${event.chain}/${event.seq} ${sentence}`)
    const body = JSON.parse(event.body) as Body
    if (event.seq !== index + 1) say(`stands at place ${index + 1}.`)
    if (sha256(event.body) !== event.hash) say('does not have the hash of its body.')
    if (canonical(body as unknown as Json) !== event.body) say('is not in canonical form.')
    if (body.prev !== prev) say('does not follow the one before it.')
    if (body.chain !== event.chain || body.seq !== event.seq || body.action !== event.action)
      say('says something else in its body than in its row.')
    if (new Date(body.at).getTime() !== event.at.getTime()) say('has two times.')
    if (event.at.getTime() < last) say('is older than the one before it.')
    if (event.seq < erased) {
      if (event.payload !== null) say('says still what was erased.')
    } else if (event.salt === null || event.payload === null) say('has lost its payload.')
    else if (sha256(event.salt, event.payload) !== body.payload) say('has another payload than it was written with.')
    prev = event.hash
    last = event.at.getTime()
  }
  if (head.seq !== events.length || head.hash !== prev) {
    findings.push(`Chain ${head.chain} ends at ${events.length}, its head says ${head.seq}.`)
  }
  return findings
}

/** No change of state without its event, and no event twice. */
function countFindings({ tenants, databases }: Fleet, events: EventRow[]): string[] {
  const findings: string[] = []
  const count = (chain: string, action: string) =>
    events.filter(event => event.chain === chain && event.action === action).length
  for (const { id, slug, status } of tenants) {
    const expect = (action: string, wanted: number) => {
      const found = count(`tenant:${id}`, action)
      if (found !== wanted) findings.push(`Tenant ${slug} (${status}) has ${found} events ${action}, not ${wanted}.`)
    }
    // What happened before its catalog was lost stands in no chain of this one.
    const recovers = count(`tenant:${id}`, 'tenant.recover')
    if (recovers === 0) expect('tenant.create', 1)
    expect('tenant.create.failed', status === 'failed' && recovers === 0 ? 1 : 0)
    const erased = count(`tenant:${id}`, 'tenant.erased')
    // Erased after it was purged, or instead.
    expect('tenant.purged', status === 'purged' && (erased === 0 || count(`tenant:${id}`, 'tenant.purge') > 0) ? 1 : 0)
    expect('audit.erase', erased)
    const begins = recovers > 0 ? 'tenant.recovered' : 'tenant.activate'
    if (status !== 'failed' && count(`tenant:${id}`, begins) === 0)
      findings.push(`Tenant ${slug} (${status}) was never written down as active.`)
  }
  const built = count('template', 'template.build')
  const templates = databases.filter(({ kind, state }) => kind === 'template' && state === 'ready').length
  if (built < templates) findings.push(`${templates} templates are built, ${built} were written down.`)
  return findings
}
