import { setTimeout as sleep } from 'node:timers/promises'
import { findTenant, resumeTenant, type Saasctl, SaasctlError, suspendTenant } from '../../src/index.js'
import { type Answer, ask } from '../ask.js'
import type { Narrator } from '../narrator.js'
import { furnish } from '../product/demo/furnish.js'
import { demoIssuer } from '../product/demo/issuer.js'
import { product } from '../product/product.js'

const wait = { wait: true }
const domain = 'app.localhost'

/** What the chapter reads of an invoice. */
interface Invoice {
  number: string
  currency: string
  totals: { total: string }
}

/** The example product serves two tenants through the router, and one on MySQL where there is one; nobody else is told that they exist. */
export async function serveChapter(saasctl: Saasctl, { chapter, tell }: Narrator, onMysql?: string): Promise<void> {
  chapter('One product serves them all, over HTTP')
  const issuer = await demoIssuer()
  const app = await product({ issuers: [issuer.options], domain, level: 'fatal', config: saasctl.config })
  try {
    const base = await tell(
      () => app.listen({ port: 0, host: '127.0.0.1' }),
      url => `The product of examples/product listens on ${url}, with one router for all tenants.`
    )
    const arrive = async (slug: string, customer: string, currency: string) => {
      const { id } = await findTenant(saasctl.catalog, slug)
      const { userId, customerId } = await furnish(app.tenants, id, {
        owner: { name: 'Olga Owner', email: `olga@${slug}.example` },
        customer: { name: customer, email: `mail@${slug}-customer.example`, country: null, currency },
        work: { description: 'A first invoice', unitPrice: '100' },
        projects: ['Website']
      })
      return { who: { host: `${slug}.${domain}`, token: await issuer.token(id, userId) }, customerId }
    }
    const acme = await arrive('acme', 'Bergmann Werkzeuge', 'EUR')
    const initech = await arrive('initech', 'Harbour Yoga', 'GBP')

    const issue = async ({ who, customerId }: typeof acme, unitPrice: string) => {
      const body = { customerId, lines: [{ description: 'Consulting, one day', unitPrice, taxRate: '0.19' }] }
      return expected(201, await ask<Invoice>(base, { ...who, path: '/invoices', body }))
    }
    const said = ({ number, currency, totals }: Invoice) => `issues invoice ${number} of ${totals.total} ${currency}.`
    await tell(
      () => issue(acme, '1200'),
      invoice => `acme ${said(invoice)}`
    )
    await tell(
      () => issue(initech, '89'),
      invoice => `initech ${said(invoice)}`
    )

    if (onMysql !== undefined) {
      const neighbour = await arrive(onMysql, 'Raccoon Catering', 'USD')
      await tell(
        () => issue(neighbour, '450'),
        invoice => `${onMysql} ${said(invoice)} The same program and entities, on MySQL.`
      )
    }

    const list = ({ who }: typeof acme) => ask<Invoice[]>(base, { ...who, path: '/invoices?limit=100' })
    const served = async (of: typeof acme) => expected(200, await list(of)).length
    await tell(
      () => Promise.all([served(acme), served(initech)]),
      ([one, other]) =>
        `acme is shown its own ${one}, initech its own ${other}: each counts from 1 in its own database.`
    )
    const crossing = await tell(
      () => list({ ...acme, who: { ...acme.who, host: initech.who.host } }),
      ({ status, body }) => `acme’s token on initech’s host is answered ${status}: ${JSON.stringify(body)}.`
    )
    await tell(() => suspendTenant(saasctl, 'initech', { ...wait, reason: 'unpaid' }), 'initech is suspended.')
    await tell(
      () => list(initech),
      answer => `Its own token is answered ${same(crossing, answer)}: the same, for whoever asks.`
    )
    await tell(() => served(acme), 'acme, on the same server, is served as before.')
    await tell(() => resumeTenant(saasctl, 'initech', wait), 'initech is resumed.')
    await tell(
      () => again(() => served(initech)),
      invoices => `It has its ${invoices} invoices again.`
    )
  } finally {
    await tell(() => app.close(), 'The product ends: requests that have begun finish, every connection is given back.')
  }
}

/** A router hears of a change some milliseconds after it was made; on a busy machine, some more. */
async function again<T>(act: () => Promise<T>): Promise<T> {
  const until = performance.now() + 10_000
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(20)
    }
  }
}

function expected<T>(status: number, answer: Answer<T>): T {
  if (answer.status === status) return answer.body
  throw new SaasctlError('FAILED', `The product answered ${answer.status}: ${JSON.stringify(answer.body)}.`)
}

/** A refusal that could be told from another would say which tenants exist. */
function same(one: Answer<unknown>, other: Answer<unknown>): number {
  if (one.status === 404 && JSON.stringify(one) === JSON.stringify(other)) return one.status
  throw new SaasctlError('ISOLATION_BROKEN', `Two refusals differ: ${JSON.stringify([one, other])}.`)
}
