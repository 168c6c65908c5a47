import t from 'tap'
import { findTenant } from '../../src/index.js'
import { cloneTenant } from '../../src/restores/clone.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true }
  await createTenant(saasctl, { slug: 'acme', labels: { tier: 'gold' } }, { template: 'tiny' }, wait)
  await asTenantOwner(saasctl, 'acme', client =>
    client.query(`create table kept (id int primary key, word text); insert into kept values (1, 'one'), (2, 'zwölf')`)
  )
  const words = async (slug: string) =>
    (await asTenantOwner(saasctl, slug, client => client.query('select word from kept order by id'))).rows

  for (const [as, hold] of [
    ['acme-dumped', false],
    ['acme-copied', true]
  ] as const) {
    await t.test(
      `a clone ${hold ? 'by the server' : 'through a dump'} is another tenant with the same rows`,
      async t => {
        const { tenant } = await cloneTenant(saasctl, 'acme', { as, hold }, wait)
        t.match(tenant, { slug: as, status: 'active', labels: { tier: 'gold' } })
        const source = await findTenant(saasctl.catalog, 'acme')
        t.not(tenant.databaseId, source?.databaseId)
        t.equal(tenant.migration, source?.migration)
        t.strictSame(await words(as), [{ word: 'one' }, { word: 'zwölf' }])
        t.equal(source?.status, 'active')
        const [row] = await saasctl.catalog.query<{ held: boolean }>(
          `select held from saasctl.tenant where slug = 'acme'`
        )
        t.equal(row?.held, false, 'and the first one is let go')
      }
    )
  }
}
