import { spawn } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import t from 'tap'
import { adoptCatalog } from '../src/catalog/adopt.js'
import { serverByName } from '../src/catalog/servers.js'
import { findTenant } from '../src/catalog/tenants.js'
import { serverAccess } from '../src/databases/access.js'
import { type DoctorFinding, doctor } from '../src/doctor/doctor.js'
import { databaseName, uuidv7 } from '../src/names.js'
import { startOperation } from '../src/operations/start.js'
import { Secret } from '../src/secret.js'
import { addServer } from '../src/servers/add.js'
import { removeServer } from '../src/servers/change.js'
import { buildTemplate } from '../src/templates/build-template.js'
import { createTenant } from '../src/tenants/create.js'
import { deleteTenant } from '../src/tenants/delete.js'
import { purgeTenant } from '../src/tenants/purge.js'
import { suspendTenant } from '../src/tenants/suspend.js'
import { controlPlane } from './support/control-plane.js'
import { asSuperuser, controlLogin, skipWithoutPostgres, startServer } from './support/servers.js'

if (await skipWithoutPostgres(t)) process.exit(0)

const plane = await controlPlane()
t.teardown(() => plane.close())
const { saasctl } = plane
const wait = { wait: true }
const id = pg.escapeIdentifier

const sql = (text: string) => asSuperuser(plane.server, client => client.query(text))
const names = async (text: string) => (await sql(text)).rows.map(row => row.name as string)
const look = async () => (await doctor(saasctl, { fix: false })).findings
const fix = async () => (await doctor(saasctl, { fix: true })).findings
const of = (findings: DoctorFinding[], code: string) => findings.filter(finding => finding.code === code)

/** What is not as it should be, without what a test server and its young key store always have. */
function troubles(findings: DoctorFinding[]): string[] {
  const usual = /^(keys\.backup|catalog\.backup|server\.version|control\.|doors\.|wire\.|settings?\.|tenants$)/
  return findings
    .filter(({ level, code }) => level !== 'ok' && !usual.test(code))
    .map(({ code, subject }) => `${code} ${subject}`)
}

async function create(slug: string) {
  await createTenant(saasctl, { slug }, { template: 'standard' }, wait)
  const tenant = await findTenant(saasctl.catalog, slug)
  if (!tenant?.database || !tenant.databaseId) throw new Error(`${slug} was not placed`)
  return { id: tenant.id, databaseId: tenant.databaseId, database: tenant.database }
}

async function warmName(): Promise<string | undefined> {
  const [warm] = await saasctl.catalog.query<{ name: string }>(
    `select name from saasctl.database where kind = 'tenant' and state = 'ready'`
  )
  return warm?.name
}

const audited = async (action: string, subject: string) =>
  (
    await saasctl.catalog.query('select from saasctl.audit_event where action = $1 and body::json->>$$subject$$ = $2', [
      action,
      subject
    ])
  ).length

t.test('a healthy fleet gives no trouble, and --fix changes nothing', async t => {
  await create('healthy')
  await buildTemplate(saasctl, 'standard', { again: false, warm: 1 }, wait)
  const before = await saasctl.catalog.query('select count(*) from saasctl.operation')
  const findings = await fix()
  t.same(troubles(findings), [])
  t.match(of(findings, 'server.databases'), [{ level: 'ok', subject: 'server:main' }])
  t.match(of(findings, 'catalog.instance'), [{ level: 'ok' }])
  t.notOk(findings.some(({ fixed }) => fixed))
  t.same(await saasctl.catalog.query('select count(*) from saasctl.operation'), before)
})

t.test('keys that were never backed up are a warning until they were', async t => {
  t.match(of(await look(), 'keys.backup'), [{ level: 'warning', fix: 'saasctl key backup FILE' }])
  await saasctl.catalog.query('update saasctl.instance set keys_backed_up_at = now()')
  t.match(of(await look(), 'keys.backup'), [{ level: 'ok' }])
})

t.test('a tenant whose database was dropped is an error that --fix leaves to people', async t => {
  const { database } = await create('lost')
  await sql(`drop database ${id(database)} with (force)`)
  t.same(troubles(await look()), ['database.absent tenant:lost'])
  const [finding] = of(await fix(), 'database.absent')
  t.match(finding, { level: 'error', message: new RegExp(database) })
  t.notOk(finding?.fixed)
  t.equal((await findTenant(saasctl.catalog, 'lost'))?.status, 'active', 'and nothing of it was given up')
  await t.rejects(purgeTenant(saasctl, 'lost', wait), { code: 'SERVER_FAILED', message: /does not exist/ })
  await purgeTenant(saasctl, 'lost', { ...wait, backup: false })
  t.same(troubles(await look()), [])
})

t.test('an open login of a suspended tenant is an error, and --fix closes it', async t => {
  const tenant = await create('paused')
  await suspendTenant(saasctl, 'paused', wait)
  t.same(troubles(await look()), [])
  await sql(`alter role ${id(`${tenant.database}a`)} login`)
  const [found] = of(await look(), 'login.open')
  t.match(found, { level: 'error', subject: 'tenant:paused', message: /suspended.*app_a/, fix: 'saasctl doctor --fix' })
  t.match(of(await fix(), 'login.open'), [{ fixed: true }])
  t.same(await names(`select rolname as name from pg_roles where rolname = '${tenant.database}a' and rolcanlogin`), [])
  t.equal(await audited('tenant.close', `tenant:${tenant.id}`), 1)
  t.same(troubles(await look()), [])
})

t.test('no login of a deleted tenant stays open, its owner’s neither', async t => {
  const { database } = await create('leaving')
  await deleteTenant(saasctl, 'leaving', wait)
  await sql(`alter role ${id(`${database}own`)} login`)
  t.match(of(await fix(), 'login.open'), [{ level: 'error', fixed: true, message: /deleted.*owner/ }])
  t.same(troubles(await look()), [])
})

t.test('a closed login of an active tenant is a warning; somebody may have meant it', async t => {
  const { database } = await create('shut')
  await sql(`alter role ${id(`${database}a`)} nologin`)
  const [finding] = of(await fix(), 'login.closed')
  t.match(finding, { level: 'warning', subject: 'tenant:shut', fix: 'saasctl tenant resume shut' })
  t.notOk(finding?.fixed)
  await sql(`alter role ${id(`${database}a`)} login`)
  await sql(`alter database ${id(database)} allow_connections false`)
  t.same(troubles(await look()), ['database.closed tenant:shut'])
  await sql(`alter database ${id(database)} allow_connections true`)
})

t.test('what a dropped database left on the server is dropped through the ledger', async t => {
  const { databaseId, database } = await create('undead')
  await purgeTenant(saasctl, 'undead', wait)
  await asSuperuser(plane.server, async client => {
    await client.query('set role saasctl_server')
    await client.query(`create database ${id(database)}`)
    await client.query(`create role ${id(`${database}own`)} nologin`)
    // As a drop that was killed leaves it.
    await client.query('reset role')
    await client.query('update pg_database set datconnlimit = -2 where datname = $1', [database])
  })
  t.match(of(await look(), 'database.leftover'), [{ level: 'warning', subject: `database:${database}` }])
  t.match(of(await fix(), 'database.leftover'), [{ fixed: true }])
  t.same(await names(`select datname as name from pg_database where datname = '${database}'`), [])
  t.same(await names(`select rolname as name from pg_roles where rolname = '${database}own'`), [])
  t.equal(await audited('database.drop.start', `database:${databaseId}`), 1)
  t.same(troubles(await look()), [], 'and the server’s databases are counted right')
})

t.test('a database that the catalog does not know is reported and never touched', async t => {
  const stranger = databaseName(uuidv7())
  await sql(`create database ${id(stranger)}`)
  await sql(`create role ${id(`${stranger}own`)} login`)
  t.teardown(() => sql(`drop database ${id(stranger)}`))
  t.teardown(() => sql(`drop role ${id(`${stranger}own`)}`))
  const [finding] = of(await fix(), 'database.unknown')
  t.match(finding, { level: 'warning', subject: `database:${stranger}`, message: /made 20\d\d-.*another catalog/i })
  t.notOk(finding?.fixed)
  t.same(await names(`select datname as name from pg_database where datname = '${stranger}'`), [stranger])
  t.same(await names(`select rolname as name from pg_roles where rolname = '${stranger}own' and rolcanlogin`), [
    `${stranger}own`
  ])
})

t.test('a database that looks nearly like one of ours is not ours', async t => {
  for (const name of [
    'tenant',
    `${databaseName(uuidv7())}x`,
    't8zzzzzzzzzzzzzzzzzzzzzzzzz',
    'tuuuuuuuuuuuuuuuuuuuuuuuuuu'
  ]) {
    await sql(`create database ${id(name)}`)
    t.teardown(() => sql(`drop database ${id(name)}`))
  }
  t.same(troubles(await look()), [])
})

t.test('what kill -9 left half made is finished or taken back, and nothing stays', async t => {
  for (const [slug, where] of [
    ['killed-early', 'tenant.create/make logins:acted'],
    ['killed-late', 'tenant.create/open and look:acted']
  ] as const) {
    const code = await child(slug, where)
    t.equal(code, 'SIGKILL')
  }
  const found = of(await orphans(), 'operation.orphaned')
  t.equal(found.length, 2)
  t.match(found[0], { level: 'warning', fix: /^saasctl operation resume / })
  t.ok(of(await fix(), 'operation.orphaned').every(({ fixed }) => fixed))
  t.same(troubles(await look()), [])
  t.equal((await findTenant(saasctl.catalog, 'killed-early'))?.status, 'active')
  t.equal((await findTenant(saasctl.catalog, 'killed-late'))?.status, 'active')
})

/** The killed processes' leases last a moment longer than they did. */
async function orphans(): Promise<DoctorFinding[]> {
  for (;;) {
    const findings = await look()
    if (of(findings, 'operation.orphaned').length === 2) return findings
  }
}

async function child(slug: string, failpoint: string): Promise<string | null> {
  const at = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const program = `
    import { open } from ${at('../src/saasctl.js')}
    import { loadConfig } from ${at('../src/config.js')}
    import { createTenant } from ${at('../src/tenants/create.js')}
    const saasctl = await open(loadConfig())
    await createTenant(saasctl, { slug: process.argv[1] }, { template: 'standard' }, { wait: true })
  `
  const env = { ...plane.env, SAASCTL_FAILPOINT: failpoint }
  const started = spawn(process.execPath, ['--input-type=module', '-e', program, slug], { env, stdio: 'inherit' })
  const [, signal] = await once(started, 'exit')
  return signal
}

t.test('a creation that no operation is at work on is ended, and its database dropped', async t => {
  const { id: tenantId, databaseId, database } = await create('forgotten')
  await saasctl.catalog.query('delete from saasctl.placement where tenant_id = $1', [tenantId])
  await saasctl.catalog.query(`update saasctl.tenant set status = 'creating' where id = $1`, [tenantId])
  await saasctl.catalog.query(`update saasctl.database set state = 'building' where id = $1`, [databaseId])
  t.same(troubles(await look()), ['tenant.stuck tenant:forgotten', `database.abandoned database:${database}`])
  t.same(troubles((await fix()).filter(({ fixed }) => !fixed)), [])
  t.same(await names(`select datname as name from pg_database where datname = '${database}'`), [])
  t.same(troubles(await look()), [])
  await create('forgotten')
})

t.test('a warm database that cannot be entered is taken away before a sign-up gets it', async t => {
  await buildTemplate(saasctl, 'standard', { again: false, warm: 1 }, wait)
  const name = (await warmName()) ?? ''
  await sql(`drop database ${id(name)} with (force)`)
  t.same(troubles(await look()), [`warm.broken database:${name}`])
  t.match(of(await fix(), 'warm.broken'), [{ fixed: true }])
  t.same(await names(`select rolname as name from pg_roles where rolname like '${name}%'`), [])
  t.same(troubles(await look()), [])
})

t.test('a warm database that somebody closed is taken out of the pool and kept', async t => {
  await buildTemplate(saasctl, 'standard', { again: false, warm: 1 }, wait)
  const name = await warmName()
  await sql(`alter role ${id(`${name}ro`)} nologin`)
  t.match(of(await fix(), 'warm.broken'), [{ fixed: true, message: /cannot be entered/ }])
  t.same(await names(`select datname as name from pg_database where datname = '${name}'`), [name])
  t.equal(await warmName(), undefined, 'no sign-up gets it')
  t.match(of(await look(), 'database.retired'), [{ level: 'ok', subject: `database:${name}` }])
  t.same(troubles(await look()), [])
})

t.test('a template that somebody opened is sealed again; one that is gone is to be built', async t => {
  const [template] = await saasctl.catalog.query<{ name: string }>(
    `select name from saasctl.database where kind = 'template' and state = 'ready'`
  )
  const name = template?.name ?? ''
  await sql(`alter database ${id(name)} allow_connections true`)
  t.same(troubles(await look()), [`template.open database:${name}`])
  t.match(of(await fix(), 'template.open'), [{ fixed: true }])
  t.same(await names(`select datname as name from pg_database where datname = '${name}' and datallowconn`), [])
  await sql(`drop database ${id(name)}`)
  const [gone] = of(await look(), 'template.absent')
  t.match(gone, { level: 'error', fix: 'saasctl template build standard --server main --again' })
  await buildTemplate(saasctl, 'standard', { server: 'main', again: true, warm: undefined }, wait)
  await fix()
  t.same(troubles(await look()), [])
})

t.test('a wrong count of databases is counted anew', async t => {
  await saasctl.catalog.query(`update saasctl.server set databases = databases + 7`)
  t.match(of(await fix(), 'server.count'), [{ level: 'warning', subject: 'server:main', fixed: true }])
  t.same(troubles(await look()), [])
})

t.test('tenants get their plan’s limits when the plan was changed', async t => {
  await saasctl.catalog.query(
    `update saasctl.plan set definition = jsonb_set(definition, '{limits,connections}', '6') where name = 'free'`
  )
  const [finding] = of(await look(), 'plan.limits')
  t.match(finding, { level: 'warning', subject: 'plan:free', message: /tenants, .* have other limits/ })
  t.match(of(await fix(), 'plan.limits'), [{ fixed: true }])
  const tenant = await findTenant(saasctl.catalog, 'healthy')
  const limits = await names(`select rolconnlimit::text as name from pg_roles where rolname = '${tenant?.database}a'`)
  t.same(limits, ['6'])
  t.same(of(await look(), 'plan.limits'), [])
})

t.test('a login that could edit the audit trail is named', async t => {
  t.same(of(await look(), 'catalog.login'), [])
  const admin = await plane.another({ SAASCTL_CATALOG_URL: plane.adminUrl })
  t.match(of((await doctor(admin, { fix: false })).findings, 'catalog.login'), [
    { level: 'warning', message: /saasctl_admin/ }
  ])
})

t.test('another key store is an error for the keys and for each server', async t => {
  const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
  const other = await plane.another({
    SAASCTL_KEY_STORE: 'env',
    SAASCTL_CONTROL_KEY: key(1),
    SAASCTL_ROUTING_KEY: key(2)
  })
  const { findings } = await doctor(other, { fix: true })
  t.match(of(findings, 'keys.wrong'), [
    { level: 'error', subject: 'key:control' },
    { level: 'error', subject: 'key:routing' }
  ])
  t.match(of(findings, 'key.wrong'), [{ level: 'error', subject: 'server:main' }])
})

t.test('a server that does not answer is one error, and the others are looked at', async t => {
  const second = await startServer()
  t.teardown(() => second.stop())
  const { login, password } = await controlLogin(second)
  const wish = { name: 'second', engine: 'postgres', host: second.host, port: second.port, login } as const
  await addServer(saasctl, { ...wish, password: new Secret(password) })
  t.same(troubles(await look()), [])
  await second.stop()
  const findings = await fix()
  t.match(of(findings, 'server.unreachable'), [{ level: 'error', subject: 'server:second' }])
  t.match(of(findings, 'server.databases'), [{ subject: 'server:main' }])
  await removeServer(saasctl, 'second')
})

t.test('one server under two names is named, and nothing is done to its databases', async t => {
  const main = await serverByName(saasctl.catalog, 'main')
  if (!main) throw new Error('the control plane has added it')
  const { host, port, control } = await serverAccess(saasctl.keys, main)
  await addServer(saasctl, { name: 'twice', engine: 'postgres', host, port, ...control })
  const before = await names('select datname as name from pg_database')
  const findings = await fix()
  t.match(of(findings, 'server.overlap'), [{ subject: 'server:twice', fix: /saasctl server remove twice/ }])
  t.same(troubles(findings), ['server.overlap server:twice'])
  t.same(await names('select datname as name from pg_database'), before)
  await removeServer(saasctl, 'twice')
})

t.test('an operation of a newer saasctl is left to it', async t => {
  const { actor } = saasctl
  const kind = { name: 'tenant.teleport', inputVersion: 1, exclusion: 'shared' as const, steps: [{ name: 'go' }] }
  const { id: operation } = await saasctl.catalog.transaction(actor, tx =>
    startOperation(tx, { kind, input: {}, subject: 'test', actor, claim: null })
  )
  const [finding] = of(await fix(), 'operation.orphaned')
  t.match(finding, { subject: `operation:${operation}`, message: /newer/ })
  t.notOk(finding?.fixed)
  await saasctl.catalog.query(`update saasctl.operation set status = 'cancelled' where id = $1`, [operation])
})

t.test(
  'after a restore of the catalog, nothing that was begun before it is resumed, dropped or given away',
  async t => {
    t.equal(await child('before-restore', 'tenant.create/copy template:acted'), 'SIGKILL')
    await buildTemplate(saasctl, 'standard', { again: false, warm: 2 }, wait)
    const warm = (await warmName()) ?? ''
    await adoptCatalog(saasctl.catalog, saasctl.actor)
    t.equal(await warmName(), undefined, 'a warm database may hold a tenant of the lost catalog by now')
    const findings = await fix()
    t.notOk(of(findings, 'tenant.stuck')[0]?.fixed)
    t.equal((await findTenant(saasctl.catalog, 'before-restore'))?.status, 'creating')
    t.equal((await names(`select datname as name from pg_database where datname = '${warm}'`)).length, 1)
    t.not((await names(`select rolname as name from pg_roles where rolname = '${warm}own'`)).length, 0)
  }
)
