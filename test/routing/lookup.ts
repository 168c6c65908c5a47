import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { RouteKey } from '../../src/catalog/routes.js'
import { SaasctlError } from '../../src/errors.js'
import { Lookup, type LookupOptions, type Routed } from '../../src/routing/lookup.js'
import { eventually } from '../support/eventually.js'

/** The lookup against a table of routes that the test changes under its feet; no database is imitated, only answers are. */
interface Row extends Routed {
  slug: string
}

function setUp(more: Partial<LookupOptions<Row>> = {}) {
  const table = new Map<string, Row>()
  const put = (row: Partial<Row> & { tenantId: string }) =>
    table.set(row.tenantId, { slug: row.tenantId, revision: 1, plan: 'free', planRevision: 1, ...row })
  const state = { down: false, loads: 0, batches: [] as number[], changed: [] as Array<[string, number | undefined]> }
  const lookup = new Lookup<Row>({
    load: async ({ by, value }: RouteKey) => {
      state.loads += 1
      if (state.down) throw new SaasctlError('CATALOG_UNREACHABLE', 'The catalog did not answer.')
      const found = by === 'id' ? table.get(value) : [...table.values()].find(row => row.slug === value)
      await sleep(1)
      return found && { ...found }
    },
    loadMany: async tenantIds => {
      state.batches.push(tenantIds.length)
      if (state.down) throw new SaasctlError('CATALOG_UNREACHABLE', 'The catalog did not answer.')
      const found = tenantIds.flatMap(tenantId => table.get(tenantId) ?? [])
      await sleep(1)
      return found.map(row => ({ ...row }))
    },
    ttlMs: 10_000,
    negativeTtlMs: 10_000,
    staleMs: 10_000,
    size: 100,
    onChanged: (tenantId, route) => state.changed.push([tenantId, route?.revision]),
    ...more
  })
  return { lookup, table, put, state }
}

const slug = (value: string): RouteKey => ({ by: 'slug', value })

t.test('however many ask at once, the catalog is asked once', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  const found = await Promise.all(Array.from({ length: 50 }, () => lookup.find(slug('acme'))))
  t.ok(found.every(route => route?.tenantId === 'a'))
  t.equal(state.loads, 1)
  t.equal(lookup.peek(slug('acme'))?.tenantId, 'a')
  t.equal(lookup.peek(slug('nobody')), undefined)
})

t.test('that there is no such tenant is remembered until any tenant changes', async t => {
  const { lookup, put, state } = setUp()
  t.equal(await lookup.find(slug('acme')), undefined)
  t.equal(await lookup.find(slug('acme')), undefined)
  t.equal(state.loads, 1)
  t.equal(lookup.peek(slug('acme')), null)
  put({ tenantId: 'a', slug: 'acme' })
  lookup.invalidate('a', 0)
  t.equal((await lookup.find(slug('acme')))?.tenantId, 'a')
})

t.test('a load that began before a change does not put the old revision back', async t => {
  const { lookup, put } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  lookup.invalidate('a', 0)
  const late = lookup.find(slug('acme'))
  put({ tenantId: 'a', slug: 'acme', revision: 2 })
  lookup.invalidate('a', 2)
  await late
  t.equal((await lookup.find(slug('acme')))?.revision, 2)
  t.equal(lookup.peek(slug('acme'))?.revision, 2)
})

t.test('a change that is told while a tenant is loaded for the first time is not missed', async t => {
  for (const revision of [2, 0]) {
    const { lookup, put } = setUp()
    put({ tenantId: 'a', slug: 'acme' })
    const late = lookup.find(slug('acme'))
    put({ tenantId: 'a', slug: 'acme', revision: 2 })
    lookup.invalidate('a', revision)
    t.equal((await late)?.revision, 2)
    t.equal(lookup.peek(slug('acme'))?.revision, 2, 'nor kept as it was')
  }
})

t.test('a load that began before its plan changed does not put the old plan back', async t => {
  const { lookup, put } = setUp()
  put({ tenantId: 'a', slug: 'acme', plan: 'pro' })
  for (const planRevision of [2, 3]) {
    const late = lookup.find({ by: 'id', value: 'a' })
    put({ tenantId: 'a', slug: 'acme', plan: 'pro', planRevision })
    lookup.invalidatePlan('pro')
    await late
    t.equal((await lookup.find({ by: 'id', value: 'a' }))?.planRevision, planRevision)
    lookup.invalidate('a', 0)
  }
})

t.test('a notice that lies costs one question, and is not believed', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme', revision: 3 })
  const before = await lookup.find(slug('acme'))
  for (const revision of [Number.MAX_SAFE_INTEGER, Number.NaN, -1]) {
    lookup.invalidate('a', revision)
    const route = await lookup.find(slug('acme'))
    t.match(route, { revision: 3 }, `${revision}`)
    state.loads = 0
    t.match(await lookup.find(slug('acme')), { revision: 3 })
    t.equal(state.loads, 0, 'what the catalog says is kept')
    t.ok(route && before && lookup.isCurrent(route) && lookup.isCurrent(before))
  }
})

t.test('a tenant that changes while it is loaded, again and again, is not loaded for ever', async t => {
  const { lookup, put, state } = setUp({
    load: async () => {
      state.loads += 1
      await sleep(1)
      lookup.invalidate('a', 0)
      return { tenantId: 'a', slug: 'acme', revision: 1, plan: 'free', planRevision: 1 }
    }
  })
  put({ tenantId: 'a', slug: 'acme' })
  t.equal((await lookup.find(slug('acme')))?.revision, 1)
  t.equal(state.loads, 5)
  t.equal(lookup.peek(slug('acme')), undefined, 'and what may be old is not kept')
})

t.test('a catalog that was set back is believed, and everybody hears of it', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme', revision: 9 })
  await lookup.find(slug('acme'))
  lookup.invalidate('a', 9)
  put({ tenantId: 'a', slug: 'acme', revision: 3 })
  lookup.rewound()
  const route = await lookup.find(slug('acme'))
  t.equal(route?.revision, 3)
  t.ok(route && lookup.isCurrent(route))
  t.same(state.changed, [['a', 3]])
})

t.test('a renamed tenant is found by its new name alone, and its owner hears of it once', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  put({ tenantId: 'a', slug: 'acme-corp', revision: 2 })
  lookup.invalidate('a', 2)
  t.equal(await lookup.find(slug('acme')), undefined)
  t.equal((await lookup.find(slug('acme-corp')))?.revision, 2)
  t.same(state.changed, [['a', 2]])
})

t.test('a tenant that is gone is told to whoever holds its connections, also when nobody asks for it', async t => {
  const { lookup, put, table, state } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  table.delete('a')
  lookup.invalidate('a', 0)
  await eventually(
    async () => state.changed.length,
    count => count > 0
  )
  t.same(state.changed, [['a', undefined]])
  t.same(lookup.tenantIds(), [])
})

t.test('while the catalog is away known tenants are served, and unknown ones get an error that says so', async t => {
  const { lookup, put, state } = setUp({ ttlMs: 0 })
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  state.down = true
  t.equal((await lookup.find(slug('acme')))?.tenantId, 'a')
  t.equal(lookup.stale, 1, 'and it is counted')
  await t.rejects(lookup.find(slug('globex')), { code: 'CATALOG_UNREACHABLE', status: 503 })
  lookup.catalogDown = true
  const loads = state.loads
  t.equal((await lookup.find(slug('acme')))?.tenantId, 'a')
  t.equal(state.loads, loads, 'a catalog known to be away is not waited for')
})

t.test('staleness is bounded', async t => {
  const { lookup, put, state } = setUp({ ttlMs: 0, staleMs: 5 })
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  state.down = true
  await sleep(20)
  await t.rejects(lookup.find(slug('acme')), { code: 'CATALOG_UNREACHABLE' })
})

t.test('a change that was told while the catalog is away is never answered with the old route', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  await lookup.find(slug('acme'))
  state.down = true
  lookup.invalidate('a', 2)
  await t.rejects(lookup.find(slug('acme')), { code: 'CATALOG_UNREACHABLE' })
})

t.test('a changed plan loads its tenants again, and no others', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a', slug: 'acme' })
  put({ tenantId: 'b', slug: 'globex', plan: 'pro' })
  await Promise.all([lookup.find(slug('acme')), lookup.find(slug('globex'))])
  put({ tenantId: 'b', slug: 'globex', plan: 'pro', planRevision: 2 })
  lookup.invalidatePlan('pro')
  t.not(lookup.peek(slug('acme')), undefined)
  t.equal((await lookup.find(slug('globex')))?.planRevision, 2)
  t.same(state.changed, [['b', 1]])
})

t.test('a change of a plan with many tenants is a few questions, and everybody hears of it once', async t => {
  const { lookup, put, state } = setUp({ size: 5_000 })
  const tenantIds = Array.from({ length: 1_200 }, (_, index) => `t${index}`)
  for (const tenantId of tenantIds) put({ tenantId })
  await Promise.all(tenantIds.map(value => lookup.find({ by: 'id', value })))
  for (const tenantId of tenantIds) put({ tenantId, planRevision: 2 })
  state.loads = 0
  lookup.invalidatePlan('free')
  lookup.invalidatePlan('free')
  await eventually(
    async () => state.changed.length,
    changed => changed >= tenantIds.length
  )
  t.strictSame(state.batches, [500, 500, 200])
  t.equal(state.loads, 0)
  t.equal(state.changed.length, 1_200)
  t.equal(lookup.peek({ by: 'id', value: 't7' })?.planRevision, 2)
})

t.test('what changes while it is loaded again is loaded once more', async t => {
  const { lookup, put, state } = setUp()
  put({ tenantId: 'a' })
  await lookup.find({ by: 'id', value: 'a' })
  for (const revision of [2, 3]) {
    put({ tenantId: 'a', revision })
    lookup.invalidate('a', revision)
    await undefined
    await undefined
  }
  await eventually(
    async () => lookup.peek({ by: 'id', value: 'a' })?.revision,
    revision => revision === 3
  )
  t.strictSame(state.batches, [1, 1])
  t.equal(lookup.peek({ by: 'id', value: 'a' })?.revision, 3)
})

t.test('comparing revisions finds what no notice told', async t => {
  const { lookup, put, table } = setUp()
  for (const tenantId of ['a', 'b', 'c']) put({ tenantId })
  for (const tenantId of ['a', 'b', 'c']) await lookup.find({ by: 'id', value: tenantId })
  put({ tenantId: 'b', revision: 2 })
  table.delete('c')
  lookup.compare(
    [...table.values()].map(({ tenantId, revision, planRevision }) => ({ tenantId, revision, planRevision })),
    lookup.tenantIds()
  )
  t.equal(lookup.peek({ by: 'id', value: 'a' })?.revision, 1)
  t.equal((await lookup.find({ by: 'id', value: 'b' }))?.revision, 2)
  t.equal(await lookup.find({ by: 'id', value: 'c' }), undefined)
})

t.test('it keeps as many as it is told to, those asked for last', async t => {
  const { lookup, put, state } = setUp({ size: 3 })
  for (const tenantId of ['a', 'b', 'c', 'd']) put({ tenantId })
  for (const value of ['a', 'b', 'c']) await lookup.find({ by: 'id', value })
  lookup.peek({ by: 'id', value: 'a' })
  await lookup.find({ by: 'id', value: 'd' })
  t.equal(lookup.size, 3)
  t.not(lookup.peek({ by: 'id', value: 'a' }), undefined)
  t.equal(lookup.peek({ by: 'id', value: 'b' }), undefined)
  t.same(lookup.tenantIds().sort(), ['a', 'c', 'd'])
  t.same(state.changed, [['b', undefined]], 'whose connections nobody may hold then')
})
