import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { gather } from '../../src/databases/work.js'
import { cloneTenant } from '../../src/restores/clone.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { undoRestore } from '../../src/restores/undo.js'
import { createTenant } from '../../src/tenants/create.js'
import { mysqlKillStage } from '../support/kill-and-recover.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const stage = await mysqlKillStage()
  t.teardown(() => stage.close())
  const { saasctl, mysql } = stage
  const wait = { wait: true }
  await createTenant(saasctl, { slug: 'acme' }, { template: 'tiny' }, wait)
  const query = async (slug: string, sql: string) => {
    const { databaseId } = (await findTenant(saasctl.catalog, slug)) ?? {}
    const { names } = await gather(saasctl, databaseId ?? '')
    return (await mysql?.root(sql, names.database)) ?? []
  }
  const bodies = async (slug: string) =>
    (await query(slug, 'select body from notes order by id')).map(({ body }) => body)

  await t.test('a tenant on MariaDB or MySQL is restored, undone and cloned as on PostgreSQL', async t => {
    await backupTenant(saasctl, 'acme', wait)
    await query('acme', `insert into notes values (2, 'later')`)
    await restoreTenant(saasctl, 'acme', {}, wait)
    t.strictSame(await bodies('acme'), ['seed'])
    await undoRestore(saasctl, 'acme', { discardWrites: false }, wait)
    t.strictSame(await bodies('acme'), ['seed', 'later'])
    await restoreTenant(saasctl, 'acme', {}, wait)
    await query('acme', `update notes set body = 'changed'`)
    await t.rejects(undoRestore(saasctl, 'acme', { discardWrites: false }, wait), { code: 'TENANT_STATE' })
    const { tenant } = await cloneTenant(saasctl, 'acme', { as: 'acme-copy' }, wait)
    t.match(tenant, { status: 'active', migration: '0002_grown' })
    t.strictSame(await bodies('acme-copy'), ['changed'])
    await t.rejects(cloneTenant(saasctl, 'acme', { as: 'acme-held', hold: true }, wait), {
      code: 'SERVER_UNSUPPORTED',
      hint: /--hold/
    })
  })
}
