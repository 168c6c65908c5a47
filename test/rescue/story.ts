import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { listBackupsOf } from '../../src/backups/list.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { gather } from '../../src/databases/work.js'
import { doctor } from '../../src/doctor/doctor.js'
import { adoptRestored, planRescue } from '../../src/rescue/adopt.js'
import { backupCatalog } from '../../src/rescue/backup.js'
import { bindAll } from '../../src/rescue/bind.js'
import { restoreCatalog } from '../../src/rescue/restore.js'
import { readCatalog } from '../../src/rescue/stored.js'
import { restoreTenant } from '../../src/restores/restore.js'
import type { Saasctl } from '../../src/saasctl.js'
import { addServer } from '../../src/servers/add.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { runWorker } from '../../src/worker.js'
import { controlPlane } from '../support/control-plane.js'
import { anotherDatabase, loseCatalog, openRestored, withCatalogs } from '../support/lost-catalog.js'
import { mysqlControlLogin, skipWithoutMysql, startMariadb } from '../support/mariadb-server.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** The catalog is lost with a backup of yesterday; every tenant comes back as it was a moment before. */
if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const tiny = await tinyTemplate(['postgres', 'mysql'])
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({
    env: { ...tiny.env, SAASCTL_SLUG_QUARANTINE: '0s' },
    hba: withCatalogs('restored')
  })
  t.teardown(() => plane.close())
  const maria = await startMariadb()
  t.teardown(() => maria.stop())
  const { saasctl } = plane
  const wait = { wait: true }
  const { host, port } = maria
  await addServer(saasctl, { name: 'maria', engine: 'mysql', host, port, ...(await mysqlControlLogin(maria)) })
  const create = (slug: string, server: string, more = {}) =>
    createTenant(saasctl, { slug, server, ...more }, { template: 'tiny' }, wait)
  const servers = ['main', 'maria'] as const
  const each = async (work: (on: string, server: string) => Promise<unknown>) => {
    for (const server of servers) await work(server === 'main' ? 'pg' : 'my', server)
  }
  const bodies = async (from: Saasctl, slug: string) => {
    const { id = '', databaseId } = (await findTenant(from.catalog, slug)) ?? {}
    if (!databaseId) throw new Error(`${slug} (${id}) has no database`)
    const { engine, access, names, logins } = await gather(from, databaseId)
    const read = await logins.credentials('readonly')
    const rows = await engine.read(access, names.database, read, 'select body from notes order by id', {
      timeoutMs: 5000
    })
    return rows.map(({ body }) => body)
  }

  const facts = `select t.id, t.slug, t.status, t.plan, t.labels, t.display_name, d.id as database, d.migration, d.migrations_checksum,
      d.fingerprint, s.name as server
    from saasctl.tenant t join saasctl.placement p on p.tenant_id = t.id join saasctl.database d on d.id = p.database_id
    join saasctl.server s on s.id = d.server_id where t.slug not like '%-purged' order by t.slug`
  let before: object[] = []
  let rescued = saasctl

  await t.test('tenants come, change and go after the catalog’s last backup, and then it is lost', async t => {
    await each(async (on, server) => {
      for (const name of ['kept', 'renamed', 'purged', 'restored', 'suspended', 'undeleted'])
        await create(`${on}-${name}`, server)
      await backupTenant(saasctl, `${on}-restored`, wait)
    })
    // Ready to be claimed: the restored catalog will not know that they were.
    await buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait)
    await each(on => deleteTenant(saasctl, `${on}-undeleted`, wait))
    t.equal((await backupCatalog(saasctl, { ...wait, keep: 3 })).status, 'succeeded')
    // From here on the backup knows nothing of what happens.
    await each(async (on, server) => {
      await create(`${on}-later`, server, { labels: { tier: 'gold' }, plan: 'large', displayName: 'Später GmbH' })
      await renameTenant(saasctl, `${on}-renamed`, `${on}-other`)
      await create(`${on}-renamed`, server)
      await undeleteTenant(saasctl, `${on}-undeleted`, wait)
      await suspendTenant(saasctl, `${on}-suspended`, wait)
      await restoreTenant(saasctl, `${on}-restored`, {}, wait)
      await backupTenant(saasctl, `${on}-later`, wait)
      await deleteTenant(saasctl, `${on}-purged`, { ...wait, finalBackup: false })
      await purgeTenant(saasctl, `${on}-purged`, wait)
    })
    await each(async (on, server) => {
      await create(`${on}-quiet`, server)
      await backupTenant(saasctl, `${on}-quiet`, wait)
    })
    before = await saasctl.catalog.query(facts)
    t.equal(before.length, 16)
    const quiet = (on: string) => findTenant(saasctl.catalog, `${on}-quiet`)
    const [pg, my] = [(await quiet('pg'))?.database ?? '', (await quiet('my'))?.database ?? '']

    // No worker has run, and no backup of the catalog since: who changed something has written it on the server.
    await loseCatalog(plane)
    // Of these only their backups say whose they are.
    await asSuperuser(plane.server, client => client.query(`comment on database ${pg} is null`))
    await maria.root(`drop table ${my}ctl.binding`)
    const admin = await anotherDatabase(plane, 'restored')
    const { keys, stores } = saasctl
    const actor = { name: 'tester', proof: 'asserted' } as const
    await restoreCatalog(admin, keys, await readCatalog(stores, undefined), actor)
    rescued = (await openRestored(plane, admin)).saasctl
  })

  await t.test('adopt says beforehand what it found, and changes nothing by that', async t => {
    const lines = (await planRescue(rescued)).filter(({ server }) => server === 'maria')
    const said = lines.map(({ found, tenant }) => `${found} ${tenant}`).sort()
    t.strictSame(said, [
      'back my-later',
      'back my-quiet',
      'back my-renamed',
      'backup my-later',
      'backup my-quiet',
      'changed my-other',
      'changed my-suspended',
      'changed my-undeleted',
      'gone my-purged',
      'moved my-restored'
    ])
    t.equal(await findTenant(rescued.catalog, 'my-later'), undefined)
  })

  await t.test(
    'a store or server that is away is told, and its new address makes nothing old that came since',
    async t => {
      const admin = (sql: string) => asSuperuser(plane.server, client => client.query(sql), 'restored')
      const before = (await planRescue(rescued)).filter(({ server }) => server === 'main').length
      await admin(
        `update saasctl.backup set store = 's3://gone/for-good'; update saasctl.server set port = 1 where name = 'maria'`
      )
      const lines = await planRescue(rescued)
      await admin(`update saasctl.backup set store = '${(await saasctl.stores.open(saasctl.stores.usual)).url}';
      update saasctl.server set port = ${port} where name = 'maria'`)
      t.match(
        lines.filter(({ found }) => found === 'unreachable').map(({ server }) => server),
        ['s3://gone/for-good', 'maria']
      )
      t.equal(lines.filter(({ server }) => server === 'main').length, before)
    }
  )

  await t.test('no worker acts on what the restored catalog believes to be due', async t => {
    const { signal } = new AbortController()
    const working = runWorker(rescued, { concurrency: 1, log: () => {}, signal })
    await t.rejects(working, { code: 'CATALOG_STATE', hint: /catalog adopt/ })
    const { findings } = await doctor(rescued, { fix: false })
    t.match(
      findings.filter(({ code }) => code === 'catalog.rewound'),
      [{ level: 'error', fix: 'saasctl catalog adopt' }]
    )
  })

  await t.test('every tenant is what it was, in the database that it had', async t => {
    const { before: lost, after, lines } = await adoptRestored(rescued, wait)
    t.not(lost, after)
    t.strictSame(
      lines.filter(({ error }) => error !== undefined),
      []
    )
    t.strictSame(await rescued.catalog.query(facts), before)
    for (const on of ['pg', 'my']) {
      for (const name of ['kept', 'later', 'quiet', 'renamed', 'other', 'restored', 'undeleted'])
        t.strictSame(await bodies(rescued, `${on}-${name}`), ['seed'], `${on}-${name}`)
      t.match(await findTenant(rescued.catalog, `${on}-purged`), { status: 'deleted', finalBackup: false })
      const [backup] = await listBackupsOf(rescued, `${on}-later`, { limit: 1, removed: false })
      t.match(backup, { status: 'complete', rowCount: 1 })
      await restoreTenant(rescued, `${on}-later`, {}, wait)
      t.strictSame(await bodies(rescued, `${on}-later`), ['seed'], 'and its own backup restores')
    }
  })

  await t.test('once is enough: the next look finds nothing, and doctor has no errors', async t => {
    // Before anything was written beside it anew.
    await renameTenant(rescued, 'pg-other', 'pg-again')
    t.notOk((await planRescue(rescued)).some(({ found }) => found === 'changed'))
    await bindAll(rescued, wait)
    const left = (await planRescue(rescued)).filter(({ found }) => found !== 'gone')
    t.strictSame(left, [])
    const { findings } = await doctor(rescued, { fix: false })
    const wrong = findings.filter(({ level, subject }) => level === 'error' && !/-purged$/.test(subject))
    t.strictSame(wrong, [])
  })
}
