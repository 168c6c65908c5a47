import fc from 'fast-check'
import t from 'tap'
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
}
