import fc from 'fast-check'
import t from 'tap'
import { adoptCatalog } from '../../src/catalog/adopt.js'
import { Catalog } from '../../src/catalog/catalog.js'
import { createTenants } from '../../src/router.js'
import type { Route } from '../../src/routing/route.js'
import { tenantKey } from '../../src/routing/tenant-key.js'
import { invalidateCache } from '../../src/tenants/invalidate.js'
import { becomes } from '../support/becomes.js'
import { controlPlane } from '../support/control-plane.js'
import { customers, makeTenants, routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

const route = (tenantId: string, cacheVersion = 1) => ({ tenantId, databaseId: 'b', cacheVersion }) as Route

await t.test('no two lists of parts, and no two tenants, ever have the same key', async t => {
  const parts = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const same = JSON.stringify(a) === JSON.stringify(b)
      return (tenantKey(route('x'), a) === tenantKey(route('x'), b)) === same
    })
  )
  t.not(tenantKey(route('x'), ['a']), tenantKey(route('y'), ['a']))
  t.not(tenantKey(route('x'), ['a']), tenantKey(route('x', 2), ['a']))
  t.equal(tenantKey(route('x'), ['user', 42]), 't:x:b:1:user:42')
  t.throws(() => tenantKey(route('x'), []), { code: 'USAGE' })
  t.throws(() => tenantKey(route('x'), ['\ud800']), { code: 'USAGE' })
})

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])
  const config = await routerConfig(plane)

  await t.test('voiding a tenant’s cache changes its keys in every process, and nobody else’s', async t => {
    const [one, other] = await Promise.all(
      [1, 2].map(() => createTenants({ config, entities: [customers], pollMs: 60_000 }))
    )
    if (!one || !other) throw new Error('no routers')
    t.teardown(() => Promise.all([one.close(), other.close()]))
    const key = (tenants: typeof one, slug: string) => tenants.use(slug, async ({ tenant }) => tenant.key('user', 42))
    const before = await key(one, 'acme')
    const neighbour = await key(one, 'globex')
    t.equal(await key(other, 'acme'), before, 'two processes share one cache')
    await invalidateCache(plane.saasctl, 'acme')
    t.ok(await becomes(async () => (await key(one, 'acme')) !== before && (await key(other, 'acme')) !== before))
    t.equal(await key(one, 'globex'), neighbour)
    const after = await key(one, 'acme')
    await one.invalidate('acme')
    t.not(await key(one, 'acme'), after, 'whoever invalidates sees it at once')
    t.ok(await becomes(async () => (await key(other, 'acme')) === (await key(one, 'acme'))))
    await t.rejects(one.invalidate('nobody'), { code: 'TENANT_REFUSED' })
    const events = await plane.saasctl.catalog.query(
      `select from saasctl.audit_event where action = 'tenant.invalidate'`
    )
    t.equal(events.length, 2)
  })

  await t.test('a catalog set back to its backup brings no voided entry back', async t => {
    const tenants = await createTenants({ config, entities: [customers], pollMs: 200 })
    t.teardown(() => tenants.close())
    const key = () => tenants.use('acme', async ({ tenant }) => tenant.key('user', 42))
    const used = new Set<string>()
    const backup = await plane.catalogAsSuperuser(client =>
      client.query<{ version: string }>(`select cache_version as version from saasctl.tenant where slug = 'acme'`)
    )
    for (let times = 0; times < 3; times += 1) {
      used.add(await key())
      await tenants.invalidate('acme')
    }
    used.add(await key())
    t.equal(used.size, 4)
    for (const restored of ['once', 'and the same backup again']) {
      await plane.catalogAsSuperuser(client =>
        client.query(`update saasctl.tenant set cache_version = $1 where slug = 'acme'`, [backup.rows[0]?.version])
      )
      const { saasctl } = plane
      await adoptCatalog(saasctl.catalog, saasctl.actor)
      const { version } = (
        await saasctl.catalog.query<{ version: string }>(
          `select cache_version as version from saasctl.tenant where slug = 'acme'`
        )
      )[0] ?? { version: '' }
      t.ok(await becomes(async () => (await key()).includes(`:${version}:`)))
      for (let times = 0; times < 3; times += 1) {
        const now = await key()
        t.notOk(used.has(now), restored)
        used.add(now)
        await tenants.invalidate('acme')
      }
    }
  })

  await t.test('a router may void the cache of a tenant, and change nothing else of it', async t => {
    const router = new Catalog(config.catalog ?? '', { max: 1 })
    t.teardown(() => router.close())
    await t.rejects(router.query('update saasctl.tenant set cache_version = 1'), { code: 'CATALOG_DENIED' })
    await t.rejects(router.query('select cache_version from saasctl.tenant'), { code: 'CATALOG_DENIED' })
    await t.rejects(router.query('select * from saasctl.hostname'), { code: 'CATALOG_DENIED' })
    await t.rejects(router.query(`insert into saasctl.hostname (hostname) values ('stolen.example')`), {
      code: 'CATALOG_DENIED'
    })
    const stranger = '00000000-0000-7000-8000-000000000000'
    await router.query('select saasctl.router_invalidate($1, $1)', [stranger])
    const events = await plane.saasctl.catalog.query('select from saasctl.audit_event where chain = $1', [
      `tenant:${stranger}`
    ])
    t.equal(events.length, 0, 'for a tenant that is not there nothing is written down')
  })
}
