import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openArchive } from '../../src/archives/read.js'
import { backupTenant } from '../../src/backups/backup.js'
import { mustFindBackup } from '../../src/backups/find.js'
import { holdBackup, releaseBackup } from '../../src/backups/hold.js'
import { listBackupsOf, showBackup } from '../../src/backups/list.js'
import { verifyBackup } from '../../src/backups/verify.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true }
  const create = (slug: string) => createTenant(saasctl, { slug }, { template: 'tiny' }, wait)
  const { tenant: acme } = await create('acme')
  await create('globex')
  const folder = join(fileURLToPath(saasctl.stores.usual), 'backups', acme.id)

  await t.test('a backup says what is in it, and only its tenant’s key opens it', async t => {
    await asTenantOwner(saasctl, 'acme', client =>
      client.query(`insert into notes select n, 'n' || n from generate_series(2, 50) n`)
    )
    const { backupId, operation } = await backupTenant(saasctl, 'acme', wait)
    t.equal(operation.status, 'succeeded')
    const shown = await showBackup(saasctl, backupId)
    t.match(shown, {
      status: 'complete',
      slug: 'acme',
      rowCount: 50,
      migration: '0002_grown',
      reason: 'manual',
      verifiedAt: null
    })
    t.match(shown.manifest, {
      v: 1,
      backup: backupId,
      tenant: { id: acme.id, slug: 'acme', plan: 'small', templateVersion: 1 },
      database: { id: acme.databaseId, engine: 'postgres', server: 'main' },
      rows: { 'public.notes': 50, 'public.tags': 0 },
      migrations: [{ name: '0001_grown', checksum: /^[0-9a-f]{64}$/ }, { name: '0002_grown' }],
      compression: 'none'
    })
    const files = (await readdir(folder)).sort()
    t.strictSame(files, [`${backupId}-1.dump`, `${backupId}-1.manifest`])
    for (const file of files) {
      const bytes = await readFile(join(folder, file), 'latin1')
      t.notMatch(bytes, /acme|notes|PGDMP|seed/, `${file} shows nothing`)
    }
    t.ok((await saasctl.keys.list()).includes(`tenant/${acme.id}`))
  })

  await t.test('verifying restores it to a scratch database that is gone afterwards, and is remembered', async t => {
    const [row] = await listBackupsOf(saasctl, 'acme', { limit: 1, removed: false })
    const { backup } = await verifyBackup(saasctl, row?.id ?? '', wait)
    t.type(backup.verifiedAt, Date)
    t.equal(backup.verifyError, null)
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('a backup that somebody changed is found out, and the row says so', async t => {
    const { backupId } = await backupTenant(saasctl, 'acme', wait)
    const path = join(folder, `${backupId}-1.dump`)
    const bytes = await readFile(path)
    bytes.writeUInt8(bytes.readUInt8(900) ^ 1, 900)
    await writeFile(path, bytes)
    await t.rejects(verifyBackup(saasctl, backupId, wait), {
      code: 'BACKUP_DAMAGED',
      message: /frame 0 does not open\.$/
    })
    t.match(await mustFindBackup(saasctl.catalog, backupId), {
      verifiedAt: null,
      verifyError: { code: 'BACKUP_DAMAGED' }
    })
    await rm(path)
    await t.rejects(verifyBackup(saasctl, backupId, wait), { code: 'BACKUP_DAMAGED', message: /has no backups\// })
    await rm(join(folder, `${backupId}-1.manifest`))
    t.match(await showBackup(saasctl, backupId), { manifest: null, manifestError: { code: 'BACKUP_DAMAGED' } })
    t.strictSame(await fleetAudit(plane), [], 'no scratch database is left')
  })

  await t.test('a restore that is not what was dumped is found out', async t => {
    const { backupId } = await backupTenant(saasctl, 'globex', wait)
    const row = await mustFindBackup(saasctl.catalog, backupId)
    const { manifest } = await openArchive(saasctl, row)
    const { differencesOf } = await import('../../src/archives/compare.js')
    const restored = {
      rows: manifest.rows,
      taken: {},
      fingerprint: manifest.fingerprint,
      migrations: ['0001_grown', '0002_grown']
    }
    t.strictSame(differencesOf(manifest, restored), [])
    const more = { 'public.notes': (manifest.rows['public.notes'] ?? 0) + 1 }
    t.strictSame(
      differencesOf(manifest, { ...restored, rows: { ...manifest.rows, ...more }, taken: manifest.rows }),
      [],
      'what a tenant’s own functions write while it comes back is no damage'
    )
    t.match(differencesOf(manifest, { ...restored, rows: { ...manifest.rows, 'public.notes': 0 } }), [
      /notes had 1 rows and has 0/
    ])
    t.match(differencesOf(manifest, { ...restored, rows: { 'public.notes': 1, 'public.odd': 1 } }), [
      /odd is there/,
      /tags is missing/
    ])
    t.match(differencesOf(manifest, { ...restored, fingerprint: 'x', migrations: ['0001_grown'] }), [
      /schema/,
      /ends at 0001_grown, not at 0002_grown/
    ])
  })

  await t.test('another tenant’s backup in its place is refused', async t => {
    const [mine] = await listBackupsOf(saasctl, 'acme', { limit: 10, removed: false }).then(rows => rows.slice(-1))
    const [other] = await listBackupsOf(saasctl, 'globex', { limit: 1, removed: false })
    if (!mine || !other) return t.fail('both have one')
    await t.rejects(openArchive(saasctl, { ...mine, manifest: other.manifest }), { code: 'BACKUP_DAMAGED' })
    const { manifest } = await openArchive(saasctl, mine)
    t.equal(manifest.tenant.id, acme.id)
    await t.rejects(openArchive(saasctl, { ...mine, databaseId: other.databaseId }), {
      message: /another tenant or database/
    })
  })

  await t.test('a lost key is said plainly, at a verification and at the next backup', async t => {
    const [row] = await listBackupsOf(saasctl, 'globex', { limit: 1, removed: false })
    await saasctl.keys.destroy(`tenant/${row?.tenantId}`)
    const lost = { code: 'KEY_MISSING', hint: /key restore/ }
    await t.rejects(verifyBackup(saasctl, row?.id ?? '', wait), lost)
    await t.rejects(backupTenant(saasctl, 'globex', wait), lost, 'a new key would hide that the old one is lost')
    const [failed] = await listBackupsOf(saasctl, 'globex', { limit: 1, removed: false })
    t.equal(failed?.status, 'failed')
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('a hold has a reason, and ends when it is released', async t => {
    const rows = await listBackupsOf(saasctl, 'acme', { limit: 10, removed: false })
    const id = rows.at(-1)?.id ?? ''
    t.throws(() => holdBackup(saasctl, id, ' '), { code: 'USAGE' })
    t.equal((await holdBackup(saasctl, id, 'litigation')).holdReason, 'litigation')
    t.equal((await releaseBackup(saasctl, id)).holdReason, null)
    t.equal((await releaseBackup(saasctl, id)).holdReason, null, 'twice is OK')
    await t.rejects(holdBackup(saasctl, 'nonsense', 'x'), { code: 'BACKUP_NOT_FOUND' })
  })
}
