import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { listBackupsOf } from '../../src/backups/list.js'
import { verifyBackup } from '../../src/backups/verify.js'
import { asSaasctlError } from '../../src/errors.js'
import { createExport } from '../../src/exports/create.js'
import { verifyExport } from '../../src/exports/verify.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from '../support/control-plane.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'
import { hasOwnMounts } from '../support/small-disk.js'
import { tinyTemplate } from '../support/tiny-template.js'

const run = promisify(execFile)

if (hasOwnMounts(t, import.meta.url) && !(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  await template.grow({
    up: 'create table big as select n, md5(n::text) as a, md5((n + 1)::text) as b from generate_series(1, 60000) n;',
    down: 'drop table big;'
  })
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const folder = await mkdtemp(join(scratch, 'saasctl-export.'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder])
  t.teardown(async () => {
    await run('umount', ['--lazy', folder])
    await rm(folder, { recursive: true, force: true })
  })
  const { saasctl } = plane
  await createTenant(saasctl, { slug: 'acme' }, { template: 'tiny' }, { wait: true })
  const make = (container: 'folder' | 'tar.gz' | 'zip', name: string) => {
    const target = pathToFileURL(join(folder, name)).href
    const wish = { formats: ['jsonl', 'csv'] as ['jsonl', 'csv'], container, target, masked: false, certificate: null }
    return createExport(saasctl, 'acme', { ...wish, reason: 'a test' }, { wait: true })
  }

  await t.test('a disk that is full in the middle of an export leaves nothing of it, and says so', async t => {
    for (const [container, name] of [
      ['zip', 'acme.zip'],
      ['tar.gz', 'acme.tar.gz'],
      ['folder', 'acme']
    ] as const) {
      const error = await make(container, name).catch(asSaasctlError)
      t.match(error, { code: 'STORE_FULL', message: /no room left/ }, name)
      t.strictSame(await readdir(folder), [], `${name}: nothing stays`)
    }
  })

  await t.test('a disk that is full in the middle of a backup leaves nothing of it, and says so', async t => {
    // A backup of these rows is smaller than an export of them: what repeats is compressed away.
    await run('mount', ['-o', 'remount,size=500k', folder])
    const onDisk = await plane.another({ SAASCTL_STORE: pathToFileURL(join(folder, 'store')).href })
    await t.rejects(backupTenant(onDisk, 'acme', { wait: true }), { code: 'STORE_FULL', message: /no room left/ })
    const left = await readdir(folder, { recursive: true, withFileTypes: true })
    t.strictSame(
      left.filter(entry => entry.isFile()).map(entry => entry.name),
      []
    )
    t.match(await listBackupsOf(saasctl, 'acme', { limit: 5, removed: false }), [{ status: 'failed', object: null }])
    await run('mount', ['-o', 'remount,size=40m', folder])
    const { backupId } = await backupTenant(onDisk, 'acme', { wait: true })
    t.ok((await verifyBackup(onDisk, backupId, { wait: true })).backup.verifiedAt, 'with room again it is made')
    await rm(join(folder, 'store'), { recursive: true })
  })

  await t.test('with room again, the same export is made', async t => {
    await make('zip', 'acme.zip')
    t.match(await verifyExport(join(folder, 'acme.zip')), { intact: true, says: { rows: 60_001 } })
  })
}
