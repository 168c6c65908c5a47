import { createHash } from 'node:crypto'
import { findTenant, listTenants, type Selector } from '../src/catalog/tenants.js'
import { type ControlPlane, controlPlane } from '../test/support/control-plane.js'
import { countries, fillCatalog, serversFor } from './support/fill-catalog.js'
import { alternate, Samples } from './support/measure.js'
import { figure, ms } from './support/report.js'

// The same questions to a catalog of a thousand tenants and to one of a million, in turn. The million takes 3 GB in memory.
const few = 1_000
/** Each p99 is the middle one of five: one hiccup of the machine is not a catalog's. */
const blocks = 5
const many = Number(process.argv[2] ?? 1_000_000)

const slugOf = (n: number) => `s${createHash('md5').update(`slug${n}`).digest('hex').slice(0, 11)}`
const catalogs: Array<{ plane: ControlPlane; tenants: number }> = []
try {
  for (const tenants of [few, many]) {
    const config = { shared_buffers: '1GB', max_wal_size: '8GB', autovacuum: 'off' }
    const plane = await controlPlane({ addServer: false, config })
    catalogs.push({ plane, tenants })
    await plane.catalogAsSuperuser(client => fillCatalog(client, tenants))
  }
  await lookups()
  await pages()
} finally {
  for (const { plane } of catalogs) await plane.close()
}

async function lookups(): Promise<void> {
  const rounds = { rounds: 400, warmUp: 100 }
  compare('find a tenant by slug', await inBoth(async ({ catalog }, slug) => findTenant(catalog, slug), rounds), 'held')
  const route = await inBoth(
    async ({ catalog }, slug) => catalog.query('select * from saasctl.route where slug = $1', [slug]),
    rounds
  )
  compare('the router’s view, by slug', route, 'held')
}

async function pages(): Promise<void> {
  const page = (selector: Selector, from: 'start' | 'middle' = 'start') =>
    inBoth(
      async ({ catalog }, slug) =>
        listTenants(catalog, selector, { limit: 100, ...(from === 'middle' && { after: slug }) }),
      { rounds: 100, warmUp: 20 }
    )
  compare('first page of 100', await page({}), 'held')
  compare('page of a plan (16 %)', await page({ plan: 'pro' }), 'held')
  // A hundred neighbours by slug lie on three hundred pages of the catalog, which are in no cache yet.
  compare('a page from the middle', await page({}, 'middle'), 'held')
  // Of these the small catalog has less than a page, or reads the whole of itself: the times say more than the ratio.
  compare('page of a plan (4 %)', await page({ plan: 'enterprise' }), 'reported')
  compare('page of a status (3 %)', await page({ statuses: ['suspended'] }), 'reported')
  compare(`page of a label (1 of ${countries})`, await page({ labels: { country: 'c7' } }), 'reported')
  compare(`page of a server (1 of ${serversFor(many)})`, await page({ server: 'server-0' }), 'reported')
  const both = { labels: { country: 'c7' }, server: 'server-0' }
  compare('page of label and server, from the middle', await page(both, 'middle'), 'reported')
}

type Ask = (saasctl: ControlPlane['saasctl'], slug: string) => Promise<unknown>

interface Answer {
  median: number
  p99: number
}

/** Asks both catalogs for tenants that are spread over all of them. */
async function inBoth(ask: Ask, rounds: { rounds: number; warmUp: number }): Promise<[Answer, Answer]> {
  let asked = 0
  const variant = (index: number) => async () => {
    const { plane, tenants } = catalogs[index] as (typeof catalogs)[number]
    await ask(plane.saasctl, slugOf((++asked * 7919) % tenants))
  }
  const found: Array<Record<'small' | 'large', Samples>> = []
  for (let block = 0; block < blocks; block += 1) {
    found.push(
      await alternate({ small: variant(0), large: variant(1) }, { ...rounds, warmUp: block === 0 ? rounds.warmUp : 0 })
    )
  }
  const middle = (values: number[]) => new Samples(values).median
  const answer = (of: 'small' | 'large') => ({
    median: middle(found.map(block => block[of].median)),
    p99: middle(found.map(block => block[of].p99))
  })
  return [answer('small'), answer('large')]
}

function compare(what: string, [small, large]: [Answer, Answer], target: 'held' | 'reported'): void {
  const of = ({ median, p99 }: Answer) => `p50 ${ms(median)}, p99 ${ms(p99)}`
  figure({
    what,
    measured: of(large),
    against: `${few} tenants ${of(small)}`,
    ratio: large.p99 / small.p99,
    ...(target === 'held' && { target: { atMost: 1.3 } })
  })
}
