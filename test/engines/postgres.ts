import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { catalogs } from '../../src/engines/postgres/look.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { type RunningPostgres, startPostgres } from '../support/postgres-engine.js'
import { drop, fence, limits, make, makeTemplate, migrate, type Planned, plan } from '../support/real-engines.js'
import { type Binaries, postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

/** What only PostgreSQL has: debris, ownership, rights and settings of the server, TLS. */
if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const running = await startPostgres({
        binaries,
        config: { log_statement: 'all', log_min_error_statement: 'error' }
      })
      t.teardown(() => running.stop())
      t.test('debris', t => debris(t, running))
      t.test('copies', t => copies(t, running))
      t.test('rights', t => rights(t, running))
      t.test('check', t => check(t, running))
      t.test('the fence', t => theFence(t, running))
      t.test('the shell', t => shell(t, running, binaries))
      t.test('secrets', t => secrets(t, running))
      t.test('crashes', t => crashes(t, running))
      t.test('the system’s tables have the numbers that a look asks for', async t => {
        const named = Object.keys(catalogs).map(name => `('${name}', 'pg_catalog.${name}'::regclass::oid::int)`)
        const found = await running.admin(`select * from (values ${named.join(', ')}) as found (name, oid)`)
        t.strictSame(Object.fromEntries(found.map(({ name, oid }) => [name, oid])), catalogs)
      })
    })
    t.test(`PostgreSQL ${binaries.version} with TLS`, t => tls(t, binaries))
  }
}

async function debris(t: Test, running: RunningPostgres) {
  const { engine, access } = running

  t.test('what a killed drop left is seen, dropped, and made again', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    await running.admin(`update pg_database set datconnlimit = -2 where datname = '${a.names.database}'`)
    t.match(await engine.state(access, a.names), { database: 'debris' })
    const { databases } = await engine.inventory(access)
    t.match(
      databases.find(({ name }) => name === a.names.database),
      { state: 'debris' }
    )
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.sealDatabase(a.names)
    await session.makeDatabase(a.names)
    t.match(await engine.state(access, a.names), { database: 'closed' })
    await running.admin(`update pg_database set datconnlimit = -2 where datname = '${a.names.database}'`)
    await session.dropDatabase(a.names)
    t.match(await engine.state(access, a.names), { database: 'absent' })
  })
}

/** What in a database still depends on a role of another, read by the administrator. */
const leftovers = (database: string, role: string) => `
  select classid::regclass::text, objid, deptype from pg_shdepend
  where dbid = (select oid from pg_database where datname = '${database}')
    and refobjid in (select oid from pg_roles where rolname like '${role}%')`

const memberships = (role: string) => `
  select r.rolname as role, m.rolname as member from pg_auth_members a
  join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
  where (r.rolname like '${role}%' or m.rolname like '${role}%')
    and left(r.rolname, 27) <> left(m.rolname, 27) and m.rolname <> 'saasctl_server'`

async function copies(t: Test, running: RunningPostgres) {
  const { engine, access, sql } = running

  t.test('nothing in a copy belongs or is granted to a role of the template, and no membership stays', async t => {
    const template = await makeTemplate(running, [sql.everything])
    const copy = await make(running, template)
    t.teardown(() => drop(running, template))
    t.teardown(() => drop(running, copy))
    t.strictSame(await running.admin(leftovers(copy.names.database, template.names.database)), [])
    t.strictSame(await running.admin(memberships(copy.names.database)), [])
    t.strictSame(await running.admin(memberships(template.names.database)), [])
    const [kinds] = await running.admin(`
      select count(distinct classid)::int as n from pg_shdepend
      where dbid = (select oid from pg_database where datname = '${copy.names.database}') and deptype = 'o'`)
    t.ok(Number(kinds?.['n']) >= 10, 'objects of many kinds were handed over')
  })

  t.test('rights, default rights and policies are the same as in the template, name for name', async t => {
    const template = await makeTemplate(running, [sql.everything])
    const copy = await make(running, template)
    t.teardown(() => drop(running, template))
    t.teardown(() => drop(running, copy))
    await running.admin(`alter database ${template.names.database} allow_connections true`)
    const acls = async ({ names }: Planned) => {
      const rows = await running.admin(
        `select 'class' as kind, oid::regclass::text as name, relacl::text as acl from pg_class where relacl is not null
         union all select 'column', attrelid::regclass || '.' || attname, attacl::text from pg_attribute where attacl is not null
         union all select 'proc', oid::regprocedure::text, proacl::text from pg_proc where proacl is not null
         union all select 'type', oid::regtype::text, typacl::text from pg_type where typacl is not null
         union all select 'schema', nspname, nspacl::text from pg_namespace where nspacl is not null
         union all select 'large object', oid::text, lomacl::text from pg_largeobject_metadata where lomacl is not null
         union all select 'default', defaclobjtype::text || defaclnamespace::regnamespace, defaclacl::text from pg_default_acl
         union all select 'policy', polname, array(select rolname from pg_roles where oid = any (polroles) order by 1)::text from pg_policy`,
        names.database
      )
      const entries = (acl: string) => acl.replaceAll(names.database, 'T').replace(/^{|}$/g, '').split(',').sort()
      return rows.map(({ kind, name, acl }) => `${kind} ${name}: ${entries(String(acl)).join()}`).sort()
    }
    t.strictSame(await acls(copy), await acls(template))
  })

  t.test('a copy that cannot be handed over whole is refused, and nothing of it changes hands', async t => {
    const template = await makeTemplate(running, [sql.notes])
    t.teardown(() => drop(running, template))
    await running.admin(`alter database ${template.names.database} allow_connections true`)
    await running.admin(
      `create table public.by_an_administrator (id int); grant select on by_an_administrator to ${template.names.app}`,
      template.names.database
    )
    await running.admin(`alter database ${template.names.database} allow_connections false`)
    const copy = plan(engine)
    t.teardown(() => drop(running, copy))
    await t.rejects(make(running, template, copy), { code: 'SERVER_FAILED', message: /by_an_administrator/ })
    t.strictSame(await running.admin(memberships(copy.names.database)), [])
    const owned = `select from pg_tables where tablename = 'notes' and tableowner = '${template.names.logins.owner}'`
    t.equal((await running.admin(owned, copy.names.database)).length, 1)
  })

  t.test('a live tenant is cloned with the large objects that its app made', async t => {
    const tenant = await make(running)
    t.teardown(() => drop(running, tenant))
    await running.query(tenant.names.database, tenant.as('app_a'), `select lo_from_bytea(77, 'of the app')`)
    await running.query(tenant.names.database, tenant.as('readonly'), `select lo_from_bytea(78, 'of the reader')`)
    const session = await engine.enter(access, fence())
    await session.sealDatabase(tenant.names)
    const clone = await make(running, tenant)
    t.teardown(() => drop(running, clone))
    t.match(await running.query(clone.names.database, clone.as('app_b'), 'select lo_get(77) as lo'), [
      { lo: Buffer.from('of the app') }
    ])
    await session.end()
    t.strictSame(await running.admin(leftovers(clone.names.database, tenant.names.database)), [])
    t.strictSame(await running.admin(memberships(clone.names.database)), [])
    t.strictSame(await running.admin(memberships(tenant.names.database)), [])
  })
}

async function rights(t: Test, running: RunningPostgres) {
  const { engine, access } = running
  const control = access.control.login

  t.test('a missing right is named', async t => {
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    const a = plan(engine)
    await running.admin(`alter role ${control} nocreatedb`)
    t.teardown(() => running.admin(`alter role ${control} createdb createrole`))
    await t.rejects(session.makeDatabase(a.names), { code: 'SERVER_RIGHTS', data: { missing: 'CREATEDB' } })
    await running.admin(`alter role ${control} nocreaterole`)
    await t.rejects(session.makeLogins({ names: a.names, passwords: a.passwords, limits }), {
      code: 'SERVER_RIGHTS',
      retryable: false,
      data: { missing: 'CREATEROLE' }
    })
  })

  t.test('no connection left is busy, and tried again', async t => {
    await running.admin(`alter role ${control} connection limit 0`)
    t.teardown(() => running.admin(`alter role ${control} connection limit -1`))
    await t.rejects(engine.probe(access), { code: 'SERVER_BUSY', retryable: true })
  })

  t.test('a database that others are copying or in is busy', async t => {
    const template = await make(running)
    t.teardown(() => drop(running, template))
    const guest = await running.hold(template.names.database, template.as('owner'))
    t.teardown(() => guest.close())
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    const a = plan(engine)
    await t.rejects(session.makeDatabase(a.names, { names: template.names, bytes: 0 }), {
      code: 'SERVER_BUSY',
      retryable: true
    })
  })

  t.test('temporary files are bounded where the server lets the control login do it', async t => {
    t.match(await engine.probe(access), { capabilities: { tempFileLimit: false } })
    await running.admin(`grant set on parameter temp_file_limit to ${control}`)
    t.teardown(() => running.admin(`revoke set on parameter temp_file_limit from ${control}`))
    t.match(await engine.probe(access), { capabilities: { tempFileLimit: true } })
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    await session.setLimits(a.names, { ...limits, tempFileMb: 1 })
    await session.end()
    const show = () => running.query(a.names.database, a.as('app_a'), 'show temp_file_limit')
    t.strictSame(await show(), [{ temp_file_limit: '1MB' }])
    await t.rejects(running.query(a.names.database, a.as('app_a'), 'set temp_file_limit = -1'))
  })

  t.test('timeouts of the plan are those of new sessions, and a null takes them away', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const set = async (statementTimeoutMs: number | null) => {
      const session = await engine.enter(access, fence())
      await session.setLimits(a.names, { ...limits, statementTimeoutMs })
      await session.end()
    }
    const show = (role: 'app_a' | 'readonly' | 'owner') =>
      running.query(a.names.database, a.as(role), 'show statement_timeout')
    await set(1_500)
    t.strictSame(await show('app_a'), [{ statement_timeout: '1500ms' }])
    t.strictSame(await show('readonly'), [{ statement_timeout: '1500ms' }])
    t.strictSame(await show('owner'), [{ statement_timeout: '0' }])
    await set(null)
    t.strictSame(await show('app_a'), [{ statement_timeout: '0' }])
  })
}

async function check(t: Test, running: RunningPostgres) {
  const { engine, access } = running
  const control = access.control.login
  const found = async () => new Map((await engine.check(access)).map(finding => [finding.code, finding]))

  t.test('a server that is set up as it should be has no error', async t => {
    const findings = await engine.check(access)
    t.strictSame(
      findings.filter(({ level }) => level === 'error'),
      []
    )
    for (const code of [
      'control.createdb',
      'control.createrole',
      'control.signal',
      'control.superuser',
      'doors.public'
    ]) {
      t.match(
        findings.find(finding => finding.code === code),
        { level: 'ok' },
        code
      )
    }
  })

  for (const { breaks, code, level } of [
    { breaks: `alter role ${control} nocreatedb`, code: 'control.createdb', level: 'error' },
    { breaks: `alter role ${control} nocreaterole`, code: 'control.createrole', level: 'error' },
    { breaks: `revoke pg_signal_backend from ${control}`, code: 'control.signal', level: 'error' },
    { breaks: `alter role ${control} superuser`, code: 'control.superuser', level: 'warning' },
    { breaks: 'grant connect on database postgres to public', code: 'doors.public', level: 'warning' }
  ] as const) {
    t.test(`"${breaks}" is found, and the statement that it prints mends it`, async t => {
      await running.admin(breaks)
      const finding = (await found()).get(code)
      t.match(finding, { level, fix: String })
      await running.admin(finding?.fix ?? '')
      t.match((await found()).get(code), { level: 'ok' })
    })
  }

  t.test('a tenant’s login with more than its database is found, and the statement mends it', async t => {
    const [a, b] = [await make(running), await make(running)]
    t.teardown(() => drop(running, a))
    t.teardown(() => drop(running, b))
    await running.admin(`grant ${b.names.app} to ${a.names.logins.app_a}; alter role ${b.names.logins.readonly} createdb;
      grant connect on database ${a.names.database} to public; grant pg_read_server_files to ${b.names.logins.app_a}`)
    const wrong = (await engine.check(access)).filter(({ level }) => level === 'error')
    t.strictSame(wrong.map(({ code }) => code).sort(), [
      'doors.public',
      'tenants.membership',
      'tenants.membership',
      'tenants.power'
    ])
    for (const { fix } of wrong) await running.admin(fix ?? '')
    t.strictSame(
      (await engine.check(access)).filter(({ level }) => level === 'error'),
      []
    )
  })
}

async function theFence(t: Test, running: RunningPostgres) {
  const { engine, access } = running

  t.test('what an app login calls itself neither ends it nor stops anybody', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const operation = uuidv7()
    const guest = await running.hold(a.names.database, a.as('app_a'))
    t.teardown(() => guest.close())
    for (const name of [
      `saasctl/${operation}/1`,
      `saasctl/${operation}/x`,
      `saasctl/${operation}/99999999999999999999`
    ]) {
      await guest.query(`set application_name = '${name}'`)
      await (await engine.enter(access, fence(uuidv7(), operation, 5))).end()
      t.ok(await guest.query('select 1'))
    }
  })

  t.test('sessions on the server carry operation and epoch, and none when they are idle', async t => {
    const operation = uuidv7()
    const session = await engine.enter(access, fence(uuidv7(), operation, 12))
    const names = () =>
      running.admin(`select application_name as name from pg_stat_activity
      where usename = '${access.control.login}' order by 1`)
    t.match(JSON.stringify(await names()), `saasctl/${operation}/12`)
    await session.end()
    t.notMatch(JSON.stringify(await names()), operation)
    const [locks] = await running.admin(`select count(*)::int as n from pg_locks where locktype = 'advisory'`)
    t.equal(locks?.['n'], 0)
  })
}

async function shell(t: Test, running: RunningPostgres, { binDir }: Binaries) {
  const { engine, access } = running
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [running.sql.notes])

  t.test('a connection string opens the database', async t => {
    const password = a.passwords.app_a.reveal()
    const connectionString = engine.dsn(access, a.names.database, a.names.logins.app_a, password)
    const client = new pg.Client({ connectionString })
    await client.connect()
    t.match(await client.query('select current_database() as name'), { rows: [{ name: a.names.database }] })
    await client.end()
    t.notMatch(engine.dsn(access, a.names.database, a.names.logins.app_a), password)
  })

  t.test('odd characters in host and password survive', async t => {
    const dsn = engine.dsn({ ...access, host: '/run/my socket' }, 'd', 'l', `p@:/?#'%`)
    const client = new pg.Client({ connectionString: dsn })
    t.match(client, { host: '/run/my socket', database: 'd', user: 'l' })
    t.equal(client.password, `p@:/?#'%`)
    t.match(engine.dsn({ ...access, host: '::1' }, 'd', 'l'), /@\[::1\]:/)
  })

  t.test('the shell is read-only when it says so, and shows no password in its arguments', async t => {
    const command = engine.shell(access, a.names.database, a.as('app_a'), { readOnly: true })
    t.notMatch(command.args.join(' '), a.passwords.app_a.reveal())
    const psql = join(binDir, 'psql')
    if (!existsSync(psql)) return
    const run = promisify(execFile)
    const ask = (readOnly: boolean, sql: string) => {
      const { env, args } = engine.shell(access, a.names.database, a.as('app_a'), { readOnly })
      return run(psql, [...args, '-Atqc', sql], { env })
    }
    t.match(await ask(true, 'select current_user'), { stdout: `${a.names.app}\n` })
    await t.rejects(ask(true, `insert into notes (body) values ('x')`), /read-only/)
    await ask(false, `insert into notes (body) values ('x')`)
  })
}

async function secrets(t: Test, running: RunningPostgres) {
  t.test('no password ever reaches the server’s log, also when it logs every statement', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await running.engine.enter(running.access, fence())
    await session.setPasswords(a.names, { app_a: new Secret('canary-canary-canary') })
    await t.rejects(session.setPasswords(plan(running.engine).names, { app_a: new Secret('canary-canary-canary') }))
    await session.end()
    const log = await readFile(running.server.logFile, 'utf8')
    t.match(log, /PASSWORD.*SCRAM-SHA-256/, 'the log has the statements')
    for (const password of Object.values(a.passwords)) t.notMatch(log, password.reveal())
    t.notMatch(log, 'canary-canary-canary')
  })

  t.test('an error holds neither password nor verifier', async t => {
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    const missing = plan(running.engine)
    const error = await session.setPasswords(missing.names, { owner: new Secret('canary') }).catch(error => error)
    t.match(error, { code: 'SERVER_FAILED' })
    t.notMatch(JSON.stringify(error) + error.stack + String(error.cause), /canary|SCRAM-SHA-256\$/)
  })

  t.test('a control login may have a password in any language', async t => {
    const password = 'ﬁ pässwörd №'
    await running.admin(`create role anyone login password '${password}'; grant connect on database postgres to anyone`)
    t.teardown(() => running.admin('drop owned by anyone; drop role anyone'))
    const control = { login: 'anyone', password: new Secret(password) }
    t.match(await running.engine.probe({ ...running.access, control }), { flavour: 'postgres' })
    const wrong = { login: 'anyone', password: new Secret('fi pässwörd') }
    await t.rejects(running.engine.probe({ ...running.access, control: wrong }), { code: 'SERVER_DENIED' })
  })

  t.test('a password that no client could send is refused', async t => {
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    const names = plan(running.engine).names
    for (const bad of ['', 'p\u00e4ss', 'a\nb']) {
      await t.rejects(session.setPasswords(names, { owner: new Secret(bad) }), { code: 'INVALID_INPUT' })
    }
  })
}

async function crashes(t: Test, running: RunningPostgres) {
  t.test('a database whose making was killed with the server is made whole by trying again', async t => {
    const template = await makeTemplate(running, [running.sql.everything])
    t.teardown(() => drop(running, template))
    const a = plan(running.engine)
    const session = await running.engine.enter(running.access, fence())
    const making = session.makeDatabase(a.names, { names: template.names, bytes: 1024 ** 3 }).catch(error => error)
    await new Promise(resolve => setTimeout(resolve, 8))
    running.kill()
    await running.restart()
    await making
    await session.end()
    await make(running, template, a)
    t.teardown(() => drop(running, a))
    await running.query(a.names.database, a.as('app_a'), 'select * from plain')
  })
}

async function tls(t: Test, binaries: Binaries) {
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-tls-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const ours = await certificate(folder, 'ours', 'IP:127.0.0.1')
  const foreign = await certificate(folder, 'foreign', 'DNS:db.example.com')
  const start = async (pair?: { cert: string; key: string }) => {
    const running = await startPostgres({
      binaries,
      hba: 'local all all scram-sha-256\nhostssl all all all scram-sha-256\nhost all all all reject\n'
    })
    t.teardown(() => running.stop())
    if (pair) {
      const { uid, gid } = await stat(running.server.dataDir)
      for (const [name, text] of Object.entries({ 'server.crt': pair.cert, 'server.key': pair.key })) {
        await writeFile(join(running.server.dataDir, name), text, { mode: 0o600 })
        await chown(join(running.server.dataDir, name), uid, gid)
      }
      await running.admin('alter system set ssl = on')
      await running.server.restart()
    }
    const probe = (ca: string) => running.engine.probe({ ...running.access, tls: { mode: 'verify-full', ca } })
    return { running, probe }
  }

  t.test('a server is trusted by its authority and its name, and nothing less', async t => {
    const { probe } = await start(ours)
    t.match(await probe(ours.cert), { major: binaries.major })
    await t.rejects(probe(foreign.cert), { code: 'SERVER_DENIED' }, 'another authority')
  })

  t.test('a certificate for another name is refused', async t => {
    const { probe } = await start(foreign)
    await t.rejects(probe(foreign.cert), { code: 'SERVER_DENIED', message: /does not match/ })
  })

  t.test('a server without TLS is not talked to in plaintext instead', async t => {
    const { probe } = await start()
    await t.rejects(probe(ours.cert), { code: 'SERVER_DENIED', message: /SSL/ })
  })
}

async function certificate(folder: string, name: string, subject: string) {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  await mkdir(folder, { recursive: true })
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', [
    ...args,
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${subject}`,
    '-keyout',
    key,
    '-out',
    cert
  ])
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
}
