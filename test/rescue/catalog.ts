import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { verifyTrail } from '../../src/audit/verify/verify.js'
import { operationById } from '../../src/catalog/operations.js'
import { doctor } from '../../src/doctor/doctor.js'
import type { SaasctlError } from '../../src/errors.js'
import { backupCatalog, catalogBackupDue } from '../../src/rescue/backup.js'
import { restoreCatalog } from '../../src/rescue/restore.js'
import { listCatalogs, readCatalog } from '../../src/rescue/stored.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from '../support/control-plane.js'
import { anotherDatabase, openRestored, withCatalogs } from '../support/lost-catalog.js'
import { proxyTo } from '../support/proxy.js'
import { startS3 } from '../support/s3-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env, hba: withCatalogs('restored', 'spared', 'from_bucket') })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true, keep: 3 }
  const actor = { name: 'tester', proof: 'asserted' } as const
  await createTenant(saasctl, { slug: 'acme-corporation', labels: { tier: 'golden-age' } }, { template: 'tiny' }, wait)
  const store = await saasctl.stores.open(saasctl.stores.usual)
  const found = async (code: string) =>
    (await doctor(saasctl, { fix: false })).findings.filter(finding => finding.code === code)

  await t.test('doctor asks for a backup of the catalog until there was one', async t => {
    t.match(await found('catalog.backup'), [{ level: 'warning', fix: 'saasctl catalog backup' }])
    const operation = await backupCatalog(saasctl, wait)
    t.equal(operation.status, 'succeeded')
    t.match(await found('catalog.backup'), [{ level: 'ok' }])
  })

  await t.test('it shows nothing of a customer, and the store keeps as many as it should', async t => {
    for (let n = 0; n < 3; n += 1) await backupCatalog(saasctl, wait)
    const listed = await listCatalogs(store)
    t.equal(listed.length, 3)
    const bytes = await readFile(fileURLToPath(listed[0]?.url ?? ''), 'latin1')
    t.match(bytes, /^saasctl catalog backup\n\{/)
    t.notMatch(bytes, /acme-corp|golden-age|postgres|PGCOPY/)
  })

  await t.test('it is due once in its time, and only one worker promises it', async t => {
    t.equal(await catalogBackupDue(saasctl, 86_400_000, 3), false)
    await plane.catalogAsSuperuser(client =>
      client.query(`update saasctl.operation set created_at = now() - interval '2 days' where kind = 'catalog.backup'`)
    )
    const asked = await Promise.all([1, 2, 3].map(() => catalogBackupDue(saasctl, 86_400_000, 3)))
    t.strictSame(
      asked.filter(first => first),
      [true]
    )
    await plane.catalogAsSuperuser(client =>
      client.query(`update saasctl.operation set status = 'cancelled' where status = 'queued'`)
    )
  })

  await t.test('every row comes back, and the trail still verifies', async t => {
    const admin = await anotherDatabase(plane, 'restored')
    const restored = await restoreCatalog(admin, saasctl.keys, await readCatalog(saasctl.stores, undefined), actor)
    const { saasctl: second } = await openRestored(plane, admin)
    const count = `select (select count(*)::int from saasctl.tenant) as tenants, (select count(*)::int from saasctl.login) as logins,
      (select md5(string_agg(l.sealed::text, ',' order by l.name)) from saasctl.login l) as sealed,
      (select string_agg(t.slug || t.labels, ',') from saasctl.tenant t) as said, (select incarnation from saasctl.instance) as incarnation`
    t.strictSame(await second.catalog.query(count), await saasctl.catalog.query(count))
    t.ok(restored.rows > 30)
    const events = await second.catalog.query<{ action: string }>(
      `select action from saasctl.audit_event where chain = 'catalog' order by seq desc limit 2`
    )
    t.ok(events.some(({ action }) => action === 'catalog.restore'))
    t.strictSame((await verifyTrail(second.catalog, { keys: [] })).findings, [])
    await t.rejects(
      restoreCatalog(admin, saasctl.keys, await readCatalog(saasctl.stores, undefined), actor),
      { code: 'CATALOG_STATE', message: /already/ },
      'never over a catalog'
    )
  })

  await t.test('a backup that was changed, cut or is none is refused, and the database stays empty', async t => {
    const [newest] = await listCatalogs(store)
    const bytes = await readFile(fileURLToPath(newest?.url ?? ''))
    const flipped = (at: number) => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ 1
      return copy
    }
    const text = bytes.toString('latin1')
    const bad: Array<[string, Buffer, string]> = [
      ['a flipped bit', flipped(bytes.length - 40), 'BACKUP_DAMAGED'],
      ['a cut end', bytes.subarray(0, -1), 'BACKUP_DAMAGED'],
      ['only a beginning', bytes.subarray(0, text.indexOf('}') + 2), 'INVALID_INPUT'],
      ['another date', Buffer.from(text.replace(/"takenAt":"2/, '"takenAt":"1'), 'latin1'), 'BACKUP_DAMAGED'],
      ['another key', Buffer.from(text.replace(/"keyId":"./, '"keyId":"x'), 'latin1'), 'KEY_WRONG'],
      ['no backup', Buffer.from('hello\nworld\n'), 'INVALID_INPUT'],
      ['nothing', Buffer.of(), 'INVALID_INPUT']
    ]
    const admin = await anotherDatabase(plane, 'spared')
    for (const [what, content, code] of bad) {
      await t.rejects(restoreCatalog(admin, saasctl.keys, Readable.from([content]), actor), { code }, what)
    }
    const copy = join(saasctl.config.home, 'stick.backup')
    await writeFile(copy, bytes)
    const again = await restoreCatalog(admin, saasctl.keys, await readCatalog(saasctl.stores, copy), actor)
    t.equal(again.id, newest?.id, 'and a copy on a stick goes in after all of that')
    await t.rejects(readCatalog(saasctl.stores, '/nowhere/at.all'), { code: 'INVALID_INPUT' })
    await t.rejects(readCatalog(saasctl.stores, 's3://bucket/elsewhere'), { code: 'BACKUP_NOT_FOUND' })
  })

  await t.test('in a bucket it is kept, listed and restored from as in a folder', async t => {
    const s3 = await startS3()
    t.teardown(() => s3.close())
    const proxy = await proxyTo({ host: '127.0.0.1', port: s3.port })
    t.teardown(() => proxy.close())
    const far = await plane.another(s3.env(proxy.port))
    const to = `s3://${s3.bucket}/of/catalogs`
    const backUp = (at: string, from = far) => backupCatalog(from, { ...wait, to: at })
    await backUp(to)
    const { result } = await backUp(to)
    const bucket = await far.stores.open(to)
    const listed = await listCatalogs(bucket)
    t.match(listed, [{ id: (result as { backupId: string }).backupId }, {}])
    const address = listed[0]?.url ?? ''
    t.match(address, new RegExp(`^${to}/catalog/[0-9a-f-]+-\\d+\\.backup$`))

    const admin = await anotherDatabase(plane, 'from_bucket')
    await t.rejects(readCatalog(far.stores, address.replace('/of/', '/off/')), { code: 'STORE_MISSING' })
    await t.rejects(readCatalog(far.stores, address.slice(0, -2)), { code: 'BACKUP_NOT_FOUND' })
    await t.rejects(readCatalog(far.stores, undefined, `s3://${s3.bucket}/off`), { code: 'BACKUP_NOT_FOUND' })
    for (const typo of ['s3:/backups', 's3//backups', 'S3://Back_ups', `${to}?versionId=1`, '']) {
      await t.rejects(backUp(typo), { code: 'CONFIG_INVALID', message: /is not a store/ }, JSON.stringify(typo))
    }
    await t.rejects(backUp('s3://no-such-bucket/x'), { code: 'STORE_REFUSED', message: /NoSuchBucket/ })
    await t.rejects(readCatalog(far.stores, undefined, 's3://no-such-bucket'), { code: 'STORE_REFUSED' })
    const stranger = await plane.another({ ...s3.env(), AWS_ACCESS_KEY_ID: 'SOMEBODY' })
    await t.rejects(backUp(to, stranger), { code: 'STORE_REFUSED', hint: /keys/ })
    await t.rejects(readCatalog(stranger.stores, address), { code: 'STORE_REFUSED' })
    t.equal((await listCatalogs(bucket)).length, 2, 'nothing of all that is in the bucket')

    proxy.mode = 'closed'
    proxy.cut()
    await t.rejects(readCatalog(far.stores, address), { code: 'STORE_UNREACHABLE' })
    const cut = await backupCatalog(far, { ...wait, to, timeoutMs: 500 }).catch((error: SaasctlError) => error)
    t.match(cut, { code: 'STILL_RUNNING', message: /does not answer/ }, 'a road that is cut is tried again')
    proxy.mode = 'pass'
    t.equal((await listCatalogs(bucket)).length, 2, 'nothing that is half is listed')
    const begun = await operationById(far.catalog, (cut as SaasctlError).operationId ?? '')
    t.match(begun && (await far.operations.follow(begun)), { status: 'succeeded' }, 'and taken when it is whole')
    listed.unshift(...(await listCatalogs(bucket)).slice(0, 1))
    const restored = await restoreCatalog(admin, saasctl.keys, await readCatalog(far.stores, undefined, to), actor)
    t.equal(restored.id, listed[0]?.id, 'and the same database takes it when the road is back')
  })
}
