import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { mustFindBackup } from '../../src/backups/find.js'
import { listBackupsOf } from '../../src/backups/list.js'
import { pruneBackups } from '../../src/backups/prune.js'
import { verifyBackup } from '../../src/backups/verify.js'
import { listOperations } from '../../src/catalog/operations.js'
import { cancelOperation } from '../../src/operations/inspect.js'
import { createTenant } from '../../src/tenants/create.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { children } from '../support/dump-and-restore.js'
import { auditBackups } from '../support/fleet/backups.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { proxyTo } from '../support/proxy.js'
import { startS3 } from '../support/s3-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (await skipWithoutPostgres(t)) process.exit()

// A root test ends by itself while a sub-test waits for nothing but a socket; one that is async lasts as long as its promise.
await t.test('backups under bad luck', async t => {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const s3 = await startS3()
  t.teardown(() => s3.close())
  const proxy = await proxyTo({ host: '127.0.0.1', port: s3.port })
  t.teardown(() => proxy.close())
  const store = { SAASCTL_STORE: `s3://${s3.bucket}/bad-luck`, ...s3.env(proxy.port) }
  const plane = await controlPlane({ env: { ...template.env, ...store } })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true }
  const { tenant } = await createTenant(saasctl, { slug: 'acme' }, { template: 'tiny' }, wait)
  // Random text, which does not compress: several parts for the bucket.
  await asTenantOwner(saasctl, 'acme', client =>
    client.query(
      `insert into notes select n, (select string_agg(md5(random()::text || n || i), '') from generate_series(1, 60) i) from generate_series(2, 12000) n`
    )
  )
  /** Until an upload is under way that was not there before: of those that were cut off something may be left. */
  const uploading = async (before: string[]) => {
    while ((await s3.uploads()).every(id => before.includes(id))) await sleep(5)
  }
  const operationId = async () => (await listOperations(saasctl.catalog, { open: true, limit: 1 }))[0]?.id ?? ''
  const audit = async () => [...(await fleetAudit(plane)), ...(await auditBackups(saasctl))]

  await t.test('a store that goes away in the middle is tried again, and the backup is whole', async t => {
    const begun = await s3.uploads()
    const backing = backupTenant(saasctl, 'acme', wait)
    await uploading(begun)
    proxy.mode = 'closed'
    proxy.cut()
    while ((await listOperations(saasctl.catalog, { open: true, limit: 1 }))[0]?.error?.code !== 'STORE_UNREACHABLE')
      await sleep(20)
    proxy.mode = 'pass'
    const { backupId } = await backing
    t.match(await mustFindBackup(saasctl.catalog, backupId), { status: 'complete', object: /-[2-9]\.dump$/ })
    t.ok((await verifyBackup(saasctl, backupId, wait)).backup.verifiedAt)
  })

  await t.test('a dump program that is killed in the middle is begun again, and the backup is whole', async t => {
    const begun = await s3.uploads()
    const backing = backupTenant(saasctl, 'acme', wait)
    await uploading(begun)
    const program = (await children()).find(({ args }) => args.includes('pg_dump'))
    if (program) process.kill(program.pid, 'SIGKILL')
    const { backupId } = await backing
    const { status, object } = await mustFindBackup(saasctl.catalog, backupId)
    t.match({ status, object }, { status: 'complete', object: program ? /-[2-9]\.dump$/ : /\.dump$/ })
    t.ok((await verifyBackup(saasctl, backupId, wait)).backup.verifiedAt)
  })

  await t.test('while a tenant writes, counts and rows are of one moment', async t => {
    let writing = true
    const writer = asTenantOwner(saasctl, 'acme', async client => {
      for (let id = 100_000; writing; id += 1) {
        await client.query('insert into notes values ($1, $2)', [id, 'while it is dumped'])
        await client.query('insert into tags values ($1, $2)', [id, 'as well'])
      }
    })
    const { backupId } = await backupTenant(saasctl, 'acme', wait)
    writing = false
    await writer
    t.ok((await verifyBackup(saasctl, backupId, wait)).backup.verifiedAt, 'what is restored is what was counted')
  })

  await t.test('a suspension does not wait for a backup, and a backup does not stop for it', async t => {
    const begun = await s3.uploads()
    const backing = backupTenant(saasctl, 'acme', wait)
    await uploading(begun)
    t.equal((await suspendTenant(saasctl, 'acme', wait)).tenant.status, 'suspended')
    t.equal((await backing).operation.status, 'succeeded')
  })

  await t.test('one that is cancelled ends although its store is silent, and nothing of it is kept', async t => {
    const before = await listBackupsOf(saasctl, 'acme', { limit: 10, removed: false })
    const begun = await s3.uploads()
    const backing = backupTenant(saasctl, 'acme', wait)
    await uploading(begun)
    proxy.hang()
    proxy.mode = 'silent'
    await cancelOperation(saasctl, await operationId())
    const stop = setTimeout(() => {
      proxy.mode = 'pass'
      proxy.cut()
    }, 5_000)
    await t.rejects(backing, { code: 'CANCELLED' })
    clearTimeout(stop)
    proxy.mode = 'pass'
    proxy.cut()
    const [newest, ...others] = await listBackupsOf(saasctl, 'acme', { limit: 10, removed: false })
    t.match(newest, { status: 'failed', object: null })
    t.equal(others.length, before.length)
    await pruneBackups(saasctl, undefined, wait)
    t.type(
      (await mustFindBackup(saasctl.catalog, newest?.id ?? '')).removedAt,
      Date,
      'the next prune clears what was left'
    )
    // As if a day had passed: what was cut off may be at work until then.
    await (await saasctl.stores.open(saasctl.stores.usual)).sweep('backups/', new Date(Date.now() + 60_000))
    t.strictSame(await audit(), [])
    t.equal(tenant.status, 'active')
  })
})
