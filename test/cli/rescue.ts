import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { createTenant } from '../../src/tenants/create.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { anotherDatabase, loseCatalog, withCatalogs } from '../support/lost-catalog.js'
import { asSuperuser, scratch, skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** An operator's night: machine, keys and catalog are gone; a key backup, its passphrase and the store are not. */
if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const away = await mkdtemp(join(scratch, 'saasctl-away.'))
  t.teardown(() => rm(away, { recursive: true, force: true }))
  const store = pathToFileURL(join(away, 'store')).href
  const plane = await controlPlane({ env: { ...tiny.env, SAASCTL_STORE: store }, hba: withCatalogs('restored') })
  t.teardown(() => plane.close())
  const { run, folder } = await cli(t, plane.env)
  const { saasctl } = plane
  const wait = { wait: true }
  const create = (slug: string) => createTenant(saasctl, { slug }, { template: 'tiny' }, wait)
  const keysFile = join(away, 'keys.backup')
  const passphrase = { stdin: 'five random words are enough\n' }
  let env: Record<string, string> = {}
  let [unbound, foreign] = ['', '']

  await t.test('catalog and keys are backed up, and then all of it is lost', async t => {
    await create('acme')
    await backupTenant(saasctl, 'acme', wait)
    t.match(await run(['audit', 'checkpoint']), { code: 0 })
    const keys = await run(['key', 'backup', keysFile, '--password-stdin'], passphrase)
    t.equal(keys.code, 0, keys.stderr)
    const made = await run(['catalog', 'backup', '--keep', '2'])
    t.equal(made.code, 0, made.stderr)
    t.match(made.stderr, /keep a key backup too/)
    t.match(await run(['catalog', 'backup', '--to', 'ftp://nowhere']), { code: 2, stderr: /is not a store/ })
    // No worker, and no further backup: each is written down by the command that made it.
    await create('bound')
    t.match(await run(['tenant', 'create', 'later', '--template', 'tiny']), { code: 0 })
    t.match(await run(['tenant', 'rename', 'later', 'latest']), { code: 0 })
    for (const slug of ['nameless', 'foreign']) await create(slug)
    unbound = (await findTenant(saasctl.catalog, 'nameless'))?.database ?? ''
    foreign = (await findTenant(saasctl.catalog, 'foreign'))?.database ?? ''
    await loseCatalog(plane)
    await asSuperuser(plane.server, client =>
      client.query(
        `comment on database ${unbound} is null; comment on database ${foreign} is 'saasctl binding bm90IG91cnM='`
      )
    )
  })

  await t.test('what is asked wrongly is refused in one sentence, and nothing is half restored', async t => {
    const home = join(folder, 'new-home')
    const admin = await anotherDatabase(plane, 'restored')
    env = { SAASCTL_HOME: home, SAASCTL_CATALOG_ADMIN_URL: admin, SAASCTL_CATALOG_URL: admin }
    t.match(await run(['catalog', 'restore'], { env }), { code: 2, stderr: /Either one backup is named, or --latest/ })
    t.match(await run(['catalog', 'restore', 'x', '--latest'], { env }), { code: 2 })
    t.match(await run(['catalog', 'restore', '--latest'], { env }), { code: 1, stderr: /control/ }, 'without a key')
    const restored = await run(['key', 'restore', keysFile, '--password-stdin'], { ...passphrase, env })
    t.equal(restored.code, 0, restored.stderr)
    t.match(restored.stdout, /^control$.*^routing$.*^tenant\/[0-9a-f-]+$/ms, 'tenants’ keys are in it')
    t.match(restored.stdout, /^audit\/\w+$/m, 'and what signs')
    const empty = pathToFileURL(join(away, 'empty')).href
    t.match(await run(['catalog', 'restore', '--latest', '--from', empty], { env }), {
      code: 5,
      stderr: /There is no backup of a catalog/
    })
    t.match(await run(['catalog', 'restore', '0198c5d2-0000-7000-8000-000000000000'], { env }), { code: 5 })
    t.match(await run(['catalog', 'restore', './nothing.backup'], { env }), { code: 2, stderr: /cannot be read/ })
  })

  await t.test('the catalog comes back, and with it the tenants that it does not know', async t => {
    const listed = await run(['catalog', 'backups', '-o', 'json'], { env })
    const [{ url }] = JSON.parse(listed.stdout) as [{ url: string }]
    const restored = await run(['catalog', 'restore', url], { env })
    t.equal(restored.code, 0, restored.stderr)
    t.match(await run(['catalog', 'restore', '--latest'], { env }), { code: 6, stderr: /There is a catalog/ })
    const login = await run(['catalog', 'credentials', 'create', 'control'], { env })
    t.equal(login.code, 0, login.stderr)
    env['SAASCTL_CATALOG_URL'] = /^SAASCTL_CATALOG_URL=(.*)$/m.exec(login.stdout)?.[1] ?? ''
    for (const words of [
      'tenant suspend acme',
      'tenant delete acme --now --confirm acme',
      'doctor --fix',
      'backup prune'
    ]) {
      const early = await run(words.split(' '), { env })
      t.match(early, { code: 6, stderr: /is not adopted yet.*catalog adopt/s }, words)
    }
    const looked = await run(['tenant', 'list'], { env })
    t.match(looked, { code: 0, stdout: /acme/ }, 'looking is allowed')
    t.notMatch(looked.stderr, /operation resume/, 'and nobody is told to go on with what is over')
    const dry = await run(['catalog', 'adopt', '--dry-run'], { env })
    t.equal(dry.code, 0, dry.stderr)
    t.match(dry.stdout, /^back +bound +main/m)
    t.match(dry.stdout, /^back +latest +main/m, 'by the name that it had last')
    t.equal(dry.stdout.match(/^unknown /gm)?.length, 2, 'what nothing proves to be anybody’s is told, and left alone')
    t.match(dry.stdout, new RegExp(`${unbound} +.*--give`))
    t.match(dry.stdout, new RegExp(`${foreign} +.*another control plane`))
    for (const [give, says] of [
      ['acme', /is not DATABASE=SLUG/],
      [`${unbound}=No!`, /slug/i],
      [`${unbound}=acme`, /acme/],
      [`${unbound}=latest`, /latest/],
      [`${foreign}=mine`, /another control plane’s/],
      ['saasctl=mine', /not one of those whose tenant is unknown/]
    ] as const) {
      const refused = await run(['catalog', 'adopt', '--yes', '--give', give], { env })
      t.match(refused, { stderr: says }, give)
      t.not(refused.code, 0)
    }
    t.match(await run(['catalog', 'adopt'], { env }), { code: 2, stderr: /--yes/ })
    const adopted = await run(['catalog', 'adopt', '--yes', '--give', `${unbound}=named`], { env })
    t.equal(adopted.code, 0, adopted.stderr)
    const tenants = await run(['tenant', 'list', '-o', 'json'], { env })
    t.match(JSON.parse(tenants.stdout), [
      { slug: 'acme', status: 'active' },
      { slug: 'bound', status: 'active', migration: '0002_grown' },
      { slug: 'latest', status: 'active', migration: '0002_grown' },
      { slug: 'named', status: 'active', migration: '0002_grown' }
    ])
    t.match(await run(['tenant', 'restore', 'acme', '--latest', '--confirm', 'acme'], { env }), { code: 0 })
    t.match(await run(['doctor'], { env }), { code: 0, stdout: /database\.unknown/ })
  })
}
