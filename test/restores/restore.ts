import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { approvable } from '../../src/approvable.js'
import { backupTenant } from '../../src/backups/backup.js'
import { listServers } from '../../src/catalog/servers.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { approve } from '../../src/operators/approvals.js'
import { restoreAs } from '../../src/restores/clone.js'
import { dropReplaced } from '../../src/restores/drop-replaced.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { undoRestore } from '../../src/restores/undo.js'
import { createTenant } from '../../src/tenants/create.js'
import { tenantDsn } from '../../src/tenants/enter.js'
import { askHold, askRelease } from '../../src/tenants/hold.js'
import { migrateTenant } from '../../src/tenants/migrate.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { controlPlane } from '../support/control-plane.js'
import { asOperator } from '../support/operators.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const create = (slug: string) => createTenant(saasctl, { slug }, { template: 'tiny' }, wait)
  const backup = async (slug: string) => (await backupTenant(saasctl, slug, wait)).backupId
  const databaseOf = async (slug: string) => (await findTenant(catalog, slug))?.database
  const databases = async () => (await listServers(catalog))[0]?.databases
  /** As the application, by the way that its router would take. */
  const asApp = async <Row extends object>(slug: string, sql: string): Promise<Row[]> => {
    const client = new pg.Client({
      connectionString: await tenantDsn(saasctl, slug, { readOnly: false, reveal: true })
    })
    await client.connect()
    try {
      return (await client.query<Row>(sql)).rows
    } finally {
      await client.end()
    }
  }
  const bodies = async (slug: string) =>
    (await asApp<{ body: string }>(slug, 'select body from notes order by id')).map(({ body }) => body)

  await create('acme')
  await create('other')
  const firstBackup = await backup('acme')

  await t.test('a restored tenant has the rows of its backup, in another database, and goes on', async t => {
    await asApp('acme', `insert into notes values (2, 'written after the backup')`)
    const before = await databaseOf('acme')
    const { tenant } = await restoreTenant(saasctl, 'acme', {}, wait)
    t.match(tenant, { status: 'active', migration: '0002_grown' })
    t.not(tenant.database, before)
    t.strictSame(await bodies('acme'), ['seed'])
    await asApp('acme', `insert into tags values (1, 'the app may write')`)
    await t.rejects(asApp('acme', 'create table t ()'), { code: '42501' }, 'and may do no more than before')
    await migrateTenant(saasctl, 'acme', { direction: 'down', to: null }, wait)
    await migrateTenant(saasctl, 'acme', { direction: 'up', to: null }, wait)
  })

  await t.test('a restore is not undone when what was restored was written to, unless that may be lost', async t => {
    const now = await databaseOf('acme')
    await t.rejects(undoRestore(saasctl, 'acme', { discardWrites: false }, wait), {
      code: 'TENANT_STATE',
      message: /written to/
    })
    t.equal(await databaseOf('acme'), now)
    t.strictSame(await bodies('acme'), ['seed'], 'and the application is in as before')
    await undoRestore(saasctl, 'acme', { discardWrites: true }, wait)
    t.strictSame(await bodies('acme'), ['seed', 'written after the backup'])
  })

  await t.test('an undo is itself undone while nothing was written', async t => {
    const now = await databaseOf('acme')
    await undoRestore(saasctl, 'acme', { discardWrites: false }, wait)
    t.not(await databaseOf('acme'), now)
    await undoRestore(saasctl, 'acme', { discardWrites: false }, wait)
    t.equal(await databaseOf('acme'), now)
  })

  await t.test('what was replaced is dropped when its grace is over, and not before', async t => {
    t.equal(await dropReplaced(saasctl), 0)
    const held = await databases()
    await plane.catalogAsSuperuser(client => client.query('update saasctl.replaced_database set drop_at = now()'))
    const [ada, grace] = [await asOperator(saasctl, 'ada'), await asOperator(saasctl, 'grace')]
    await approve(grace, (await askHold(ada, 'acme', 'litigation')).id, approvable, wait)
    t.equal(await dropReplaced(saasctl), 0, 'nor while a legal hold is on the tenant')
    await approve(grace, (await askRelease(ada, 'acme', 'settled')).id, approvable, wait)
    t.equal(await dropReplaced(saasctl), 1)
    await settle(saasctl)
    t.equal(await databases(), (held ?? 0) - 1)
    await t.rejects(undoRestore(saasctl, 'acme', { discardWrites: false }, wait), {
      code: 'TENANT_STATE',
      message: /Nothing is kept/
    })
  })

  await t.test('a backup of one tenant is not restored into another', async t => {
    const now = await databaseOf('other')
    const restored = restoreTenant(saasctl, 'other', { backup: firstBackup }, wait)
    await t.rejects(restored, { code: 'NOT_ALLOWED', hint: /--as/ })
    await t.rejects(restoreTenant(saasctl, 'other', {}, wait), { code: 'BACKUP_NOT_FOUND' })
    t.equal(await databaseOf('other'), now)
  })

  await t.test('as another slug it is another tenant, with an identity of its own', async t => {
    const { tenant } = await restoreAs(saasctl, 'acme', { as: 'acme-before', backup: firstBackup }, wait)
    t.match(tenant, { slug: 'acme-before', status: 'active', plan: 'small', migration: '0002_grown' })
    t.strictSame(await bodies('acme-before'), ['seed'])
    t.strictSame(await bodies('acme'), ['seed', 'written after the backup'])
    const identity = await asApp('acme-before', 'select database_id::text as id from saasctl.identity')
    t.strictSame(identity, [{ id: tenant.databaseId }])
    const taken = restoreAs(saasctl, 'acme', { as: 'other', backup: firstBackup }, wait)
    await t.rejects(taken, { code: 'TENANT_EXISTS' })
  })

  await t.test('an older schema stays at its version, and comes to the fleet’s when that is asked', async t => {
    const old = await backup('acme')
    const newest = await tiny.grow()
    await migrateTenant(saasctl, 'acme', { direction: 'up', to: null }, wait)
    const { tenant: kept } = await restoreTenant(saasctl, 'acme', { backup: old }, wait)
    t.equal(kept.migration, '0002_grown')
    const { tenant: brought } = await restoreTenant(saasctl, 'acme', { backup: old, migrate: true }, wait)
    t.equal(brought.migration, '0002_grown', 'the fleet’s version is the template’s that is built, not the newest file')
    t.not(newest, brought.migration)
  })

  await t.test('a suspended tenant is restored and stays suspended', async t => {
    await suspendTenant(saasctl, 'acme', wait)
    const { tenant } = await restoreTenant(saasctl, 'acme', { backup: firstBackup }, wait)
    t.equal(tenant.status, 'suspended')
    await t.rejects(bodies('acme'), 'its application does not get in')
    await resumeTenant(saasctl, 'acme', wait)
    t.strictSame(await bodies('acme'), ['seed'])
  })

  await t.test('a damaged backup is refused before anything of the tenant changes, and leaves no database', async t => {
    const damaged = await backup('acme')
    const folder = join(saasctl.config.home, 'store')
    const names = (await readdir(folder, { recursive: true })).filter(name => name.includes(damaged))
    const sizes = await Promise.all(
      names.map(async name => ({ name, bytes: (await readFile(join(folder, name)).catch(() => Buffer.of())).length }))
    )
    const largest = sizes.sort((a, b) => b.bytes - a.bytes)[0]?.name ?? ''
    const bytes = await readFile(join(folder, largest))
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
    await writeFile(join(folder, largest), bytes)
    const [now, held] = [await databaseOf('acme'), await databases()]
    await t.rejects(restoreTenant(saasctl, 'acme', { backup: damaged }, wait), { code: 'BACKUP_DAMAGED' })
    t.equal(await databaseOf('acme'), now)
    t.equal(await databases(), held)
    t.strictSame(await bodies('acme'), ['seed'])
  })

  await t.test('a backup that is not there, or not of this form, is one sentence', async t => {
    for (const backup of ['nothing', '0192f5c0-7e5a-7c3b-9d1e-2f4a6b8c0d1e', `'; drop table x`]) {
      await t.rejects(restoreTenant(saasctl, 'acme', { backup }, wait), { code: 'BACKUP_NOT_FOUND' })
    }
  })
}
