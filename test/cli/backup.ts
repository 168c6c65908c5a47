import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { listBackupsOf } from '../../src/backups/list.js'
import { applyPlans } from '../../src/templates/plans.js'
import { createTenant } from '../../src/tenants/create.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { startS3 } from '../support/s3-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

interface Backup {
  id: string
  status: string
  slug: string
  verifiedAt: string | null
}

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json, folder } = await cli(t, plane.env)
  const { saasctl } = plane
  for (const slug of ['acme', 'globex', 'initech']) {
    await createTenant(saasctl, { slug }, { template: 'tiny' }, { wait: true })
  }
  const backUp = (slug: string, keepSeconds?: number) => backupTenant(saasctl, slug, { wait: true, keepSeconds })
  const newest = async (slug: string) => (await listBackupsOf(saasctl, slug, { limit: 1, removed: false }))[0]?.id ?? ''

  await t.test('an operator backs a tenant up, looks at it, verifies, holds and releases it', async t => {
    const made = await run(['tenant', 'backup', 'acme'])
    t.equal(made.code, 0, made.stderr)
    t.match(
      made.stderr,
      /tenant\.backup: dump and store\n(dump and store: .*\n)*acme is backed up as [0-9a-f-]{36}\.\n/
    )
    const id = await newest('acme')
    t.match(await json(['backup', 'show', id]), { manifest: { tenant: { slug: 'acme' }, rows: { 'public.notes': 1 } } })
    t.match(await run(['backup', 'show', id]), { code: 0, stdout: /^tables +2$/m })
    t.match(await json(['backup', 'verify', id]), { id, verifiedAt: /^20/ })
    t.match(await json(['backup', 'hold', id, '--reason', 'litigation']), { holdReason: 'litigation' })
    t.match(await json(['backup', 'release', id]), { holdReason: null })
    t.match(await json(['backups', 'ls']), [{ id, slug: 'acme', status: 'complete' }])
    t.match(await run(['tenant', 'backup', 'acme', '--dry-run']), { code: 0, stdout: /dump and store/ })
  })

  await t.test('many are backed up a few at a time, after a question', async t => {
    t.match(await run(['fleet', 'backup', '--all']), { code: 2, stderr: /3 tenants will be backed up.*Add --yes/s })
    t.match(await run(['fleet', 'backup', '--yes']), { code: 2, stderr: /No tenant was named/ })
    const { code, stdout, stderr } = await run(['fleet', 'backup', '--all', '--except', 'acme', '--yes', '-o', 'json'])
    t.equal(code, 0, stderr)
    t.match(JSON.parse(stdout), [
      { slug: 'globex', error: null },
      { slug: 'initech', error: null }
    ])
  })

  await t.test('a prune says what it would remove, asks, and removes it', async t => {
    t.match(await run(['backup', 'prune']), { code: 0, stderr: /Every backup is kept by something/ })
    await backUp('acme', 0)
    await json(['tenant', 'backup', 'acme', '--keep', '0s'])
    const dry = await json<Backup[]>(['backup', 'prune', 'acme', '--dry-run'])
    t.equal(dry.length, 1, 'the newest stays')
    t.match(await run(['backup', 'prune', 'acme']), {
      code: 2,
      stderr: /1 backup will be removed for good.*Add --yes/s
    })
    t.match(await json(['backup', 'prune', 'acme', '--yes']), { removed: 1 })
    t.match(await json(['backup', 'list', 'acme', '--removed']), [{}, { id: dry[0]?.id, status: 'removed' }, {}])
    t.match(await run(['backup', 'verify', dry[0]?.id ?? '']), { code: 6, stderr: /is removed, not complete/ })
  })

  await t.test('a damaged backup is exit 8, in one sentence that names it', async t => {
    const id = await newest('globex')
    const { object } = await json<{ object: string }>(['backup', 'show', id])
    const path = join(plane.config.home, 'store', object)
    const bytes = await readFile(path)
    await writeFile(path, bytes.subarray(0, -1))
    t.match(await run(['backup', 'verify', id]), {
      code: 8,
      stderr: new RegExp(
        `error: Backup ${id} is not what was written: frame 0 does not open\\.\n→ Nothing was restored`
      )
    })
    t.match(await json(['backup', 'show', id]), { verifyError: { code: 'BACKUP_DAMAGED' }, verifiedAt: null })
  })

  await t.test('a broken promise of a plan is exit 8', async t => {
    t.match(await run(['backup', 'status', '-o', 'json']), { code: 0, stdout: /"protected": 0/ })
    const path = join(tiny.env.SAASCTL_TEMPLATES, 'plans.json')
    const plans = JSON.parse(await readFile(path, 'utf8'))
    plans.small.backup = { every: '24h', keep: { daily: 7, weekly: 4, monthly: 12 }, drill: '30d' }
    await writeFile(path, JSON.stringify(plans))
    await applyPlans(saasctl)
    t.equal((await run(['backup', 'status'])).code, 8, 'the newest one of globex is damaged')
    await backUp('globex')
    t.match(await run(['backup', 'status']), { code: 0, stdout: /^protected +3$/m })
    await plane.catalogAsSuperuser(client =>
      client.query(`update saasctl.backup set taken_at = taken_at - interval '3 days'`)
    )
    t.match(await run(['fleet', 'status']), { code: 8, stdout: /globex +small +backup too old/, stderr: /and 2 more/ })
  })

  await t.test('what is no store, no backup and no tenant is told before anything begins', async t => {
    const bad = { env: { SAASCTL_STORE: 'ftp://host/backups' } }
    t.match(await run(['tenant', 'backup', 'acme'], bad), {
      code: 2,
      stderr: /"ftp:\/\/host\/backups" is not a store\./
    })
    t.match(await run(['backup', 'show', 'nonsense']), { code: 5, stderr: /no backup "nonsense"/ })
    t.match(await run(['tenant', 'backup', 'nobody']), { code: 5, stderr: /no tenant "nobody"/ })
    const refused = { env: { SAASCTL_STORE: pathToFileURL(join(folder, 'file', 'below')).href } }
    await writeFile(join(folder, 'file'), 'not a folder')
    t.match(await run(['tenant', 'backup', 'acme'], refused), { code: 1, stderr: /could not be used .*ENOTDIR/ })
    t.match(await listBackupsOf(saasctl, 'acme', { limit: 1, removed: false }), [{ status: 'failed' }])
  })

  await t.test('a bucket is a store like any other, and its secret is seen nowhere', async t => {
    const s3 = await startS3()
    t.teardown(() => s3.close())
    const env = { ...s3.env(), SAASCTL_STORE: `s3://${s3.bucket}/prod` }
    const made = await run(['tenant', 'backup', 'initech'], { env })
    t.equal(made.code, 0, made.stderr)
    const id = await newest('initech')
    t.match(await json(['backup', 'verify', id], { env }), { store: `s3://${s3.bucket}/prod`, verifiedAt: /^20/ })
    t.notMatch((await run(['config', 'show'], { env })).stdout, /SECRET.*S3RVER/)
    const away = { ...env, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }
    const lost = await run(['tenant', 'backup', 'initech', '--timeout', '2s'], { env: away })
    t.match(lost, { code: 7, stderr: /does not answer/ })
    t.notMatch(made.stderr + lost.stderr, /S3RVER/)
  })
}
