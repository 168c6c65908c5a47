import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import t, { type Test } from 'tap'
import { packageFolder } from '../../src/config.js'
import { loginRoles } from '../../src/engines/engine.js'
import { scrub } from '../../src/engines/mysql/errors.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { cachingSha2Hash, nativeHash } from '../../src/engines/mysql/password-hash.js'
import { sha256Crypt } from '../../src/engines/mysql/sha256-crypt.js'
import { SaasctlError } from '../../src/errors.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { type MysqlBinaries, mysqlBinaries, skipWithoutMysql } from '../support/mariadb-server.js'
import { type RunningMysql, startMysqlEngine } from '../support/mysql-engine.js'
import { drop, fence, limits, make, plan } from '../support/real-engines.js'

const run = promisify(execFile)

/** What only MySQL and MariaDB have: hashes, limits of logins, settings of the server, locks as names, TLS. */
await t.test('password hashes', hashes)
await t.test('what an error shows', scrubbing)
if (!(await skipWithoutMysql(t))) {
  for (const binaries of await mysqlBinaries()) {
    await t.test(`${binaries.flavour} ${binaries.version}`, async t => {
      const running = await startMysqlEngine(['--general-log=1', '--general-log-file=general.log'], binaries)
      t.teardown(() => running.stop())
      await t.test('databases', t => databases(t, running))
      await t.test('logins', t => logins(t, running))
      await t.test('the fence', t => theFence(t, running))
      await t.test('the shell', t => shell(t, running))
      await t.test('secrets', t => secrets(t, running))
    })
    await t.test(`${binaries.flavour} ${binaries.version}, checked`, t => check(t, binaries))
    await t.test(`${binaries.flavour} ${binaries.version} with other settings`, t => otherSettings(t, binaries))
    if (binaries.flavour === 'mariadb') {
      await t.test('the MariaDB of docker-compose.yml', t => composed(t, binaries))
    }
    await t.test(`${binaries.flavour} ${binaries.version} with TLS`, t => tls(t, binaries))
  }
}

async function hashes(t: Test) {
  t.test('MariaDB’s is what the server itself makes', async t => {
    t.equal(nativeHash('password'), '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19')
  })

  t.test('MySQL’s is one that a cracker knows the password of', async t => {
    // From hashcat's examples, mode 7401.
    const salt = Buffer.from('F9CC98CE08892924F50A213B6BC571A2C11778C5', 'hex')
    const digest = Buffer.from(
      '625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F',
      'hex'
    )
    t.equal(
      cachingSha2Hash('hashcat', salt).toString('hex'),
      Buffer.concat([Buffer.from('$A$005$'), salt, digest]).toString('hex')
    )
  })

  t.test('sha256-crypt is the one of every libc', async t => {
    t.equal(sha256Crypt('pw', Buffer.from('abcdefghijklmnop'), 5_000), 'gu.71QnGu.GrGbdJF.mj20x/mWJF1VliZRmeYNpAtDB')
  })
}

async function scrubbing(t: Test) {
  for (const said of [
    `near 'IDENTIFIED BY 'canary'' at line 1`,
    `near 'USING '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19''`,
    `near 'password('canary')'`,
    `near '0x24412430303524CANARY'`.replace('CANARY', 'CAFE'),
    `near '$A$005$canary'`
  ]) {
    t.notMatch(scrub(said), /canary|2470C0C0|CAFE/i, said)
  }
}

async function databases(t: Test, running: RunningMysql) {
  const { engine, access } = running

  t.test('a drop that was cut short anywhere is finished by the next one', async t => {
    const a = await make(running)
    const { database } = a.names
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.sealDatabase(a.names)
    await running.admin(`drop database ${recordsOf(database)}`)
    t.match(await engine.state(access, a.names), { database: 'closed' })
    await session.dropDatabase(a.names)
    t.match(await engine.state(access, a.names), { database: 'absent', bytes: 0 })
    await session.dropLogins(a.names)
    await session.dropDatabase(a.names)
    t.strictSame(await running.admin(`select User from mysql.user where User like '${database}%'`), [])
  })

  t.test('a make that was killed with the server goes on where it was', async t => {
    const a = plan(engine)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    await session.makeLogins({ names: a.names, passwords: a.passwords, limits })
    await session.makeDatabase(a.names)
    const guarding = session.guardDatabase(a.names).catch(error => error)
    running.kill()
    await running.restart()
    const outcome = await guarding
    if (outcome) t.match(outcome, { code: 'SERVER_UNREACHABLE', retryable: true })
    await session.end()
    await make(running, undefined, a)
    for (const role of loginRoles) await engine.identify(access, a.names.database, a.as(role), a.id)
  })

  t.test('two rows, no row and no table are no identity', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const table = `${recordsOf(a.names.database)}.identity`
    const refused = (message: RegExp) =>
      t.rejects(engine.identify(access, a.names.database, a.as('readonly'), a.id), { code: 'IDENTITY_WRONG', message })
    await running.admin(`insert into ${table} (database_id) values ('${uuidv7()}')`)
    await refused(/more than one/)
    await running.admin(`delete from ${table}`)
    await refused(/no identity row/)
    await running.admin(`drop table ${table}`)
    await refused(/identity table/)
  })
}

async function logins(t: Test, running: RunningMysql) {
  const { engine, access, server } = running

  t.test('rights are verbs, never ALL, and none of them to pass on', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    for (const role of loginRoles) {
      const grants = (await running.admin(`show grants for '${a.names.logins[role]}'@'%'`)).map(row =>
        String(Object.values(row)[0])
      )
      t.notMatch(grants.join('\n'), /ALL PRIVILEGES|GRANT OPTION|EVENT|SUPER|FILE/, role)
      t.match(grants[0], /^GRANT USAGE ON \*\.\*/)
    }
  })

  t.test('a plan’s limits are on the logins, and a new plan’s take their place', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.setLimits(a.names, { ...limits, connections: 3, statementTimeoutMs: 1_500 })
    const described = async () =>
      String(Object.values((await running.admin(`show create user '${a.names.logins.app_a}'@'%'`))[0] ?? {})[0])
    t.match(await described(), /MAX_USER_CONNECTIONS 4 /)
    if (server.flavour === 'mariadb') t.match(await described(), /MAX_STATEMENT_TIME 1\.5/)
    await session.setLimits(a.names, { ...limits, connections: 4, statementTimeoutMs: null })
    t.match(await described(), /MAX_USER_CONNECTIONS 5/)
    t.notMatch(await described(), /MAX_STATEMENT_TIME/)
  })

  t.test('an open login stays open when its password is set again, and a closed one closed', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.closeLogins(a.names, ['app_b'])
    await session.makeLogins({ names: a.names, passwords: a.passwords, limits })
    await session.setPasswords(a.names, a.passwords)
    await session.setLimits(a.names, limits)
    t.match(await engine.state(access, a.names), { logins: { app_a: 'open', app_b: 'closed' } })
  })

  t.test('a server without a free connection is busy, and tried again', async t => {
    await running.admin('set global max_connections = 10')
    t.teardown(() => running.admin('set global max_connections = 200'))
    const held: Array<{ end(): Promise<void> }> = []
    t.teardown(() => Promise.all(held.map(session => session.end())))
    let refused: unknown
    for (let count = 0; count < 12 && !refused; count += 1) {
      await engine.enter(access, fence()).then(
        session => held.push(session),
        error => (refused = error)
      )
    }
    t.match(refused, { code: 'SERVER_BUSY', retryable: true, message: /Too many connections/ })
  })
}

async function theFence(t: Test, running: RunningMysql) {
  const { engine, access } = running

  t.test('a session is found by the epoch that it holds, and only an older one is ended', async t => {
    const operation = uuidv7()
    const [first, other] = [
      await engine.enter(access, fence('a', operation, 3)),
      await engine.enter(access, fence('b'))
    ]
    t.teardown(() => first.end())
    t.teardown(() => other.end())
    const late = fence('c', operation, 2)
    await (await engine.enter(access, late)).end()
    const a = plan(engine)
    await first.closeLogins(a.names, ['app_a'])
    const newer = await engine.enter(access, fence('a', operation, 120))
    t.teardown(() => newer.end())
    await t.rejects(first.closeLogins(a.names, ['app_a']), { code: 'SERVER_UNREACHABLE', retryable: true })
    await other.closeLogins(a.names, ['app_a'])
  })

  t.test('a session that was given back holds no lock any more', async t => {
    const lock = uuidv7()
    for (let round = 0; round < 3; round += 1) await (await engine.enter(access, fence(lock))).end()
    const both = await Promise.all([engine.enter(access, fence()), engine.enter(access, fence(lock))])
    for (const session of both) await session.end()
    t.equal(both.length, 2)
  })

  t.test('a table that a tenant keeps locked does not keep its database from being dropped', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    await running.query(a.names.database, a.as('owner'), 'create table held (id int)')
    const guest = await running.hold(a.names.database, a.as('app_a'))
    await guest.query('begin')
    await guest.query('select * from held')
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.dropDatabase(a.names)
    await guest.ended
    t.match(await engine.state(access, a.names), { database: 'absent' })
  })
}

async function shell(t: Test, running: RunningMysql) {
  const { engine, access } = running
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await running.query(a.names.database, a.as('owner'), 'create table notes (id int)')
  const client = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap(folder => ['mariadb', 'mysql'].map(program => join(folder, program)))
    .find(path => existsSync(path))

  t.test('the connection string opens the database, and has no password unless it is given', async t => {
    const password = a.passwords.app_a.reveal()
    const uri = engine.dsn(access, a.names.database, a.names.logins.app_a, password)
    const connection = await mysql.createConnection({ uri })
    const [rows] = await connection.query('select database() as name')
    await connection.end()
    t.match(rows, [{ name: a.names.database }])
    t.notMatch(engine.dsn(access, a.names.database, a.names.logins.app_a), password)
    const odd = new URL(engine.dsn({ ...access, host: '::1' }, 'd', 'l', `p@:/?#'%`))
    t.equal(odd.hostname, '[::1]')
    t.equal(decodeURIComponent(odd.password), `p@:/?#'%`)
    const trusting = mysql.createPool({ uri: engine.dsn({ ...access, tls: { mode: 'verify-full' } }, 'd', 'l') })
    t.match(trusting.pool.config, { connectionConfig: { ssl: { verifyIdentity: true, rejectUnauthorized: true } } })
    await trusting.end()
  })

  t.test('the shell is read-only when it says so, and shows nothing in its arguments', async t => {
    const command = engine.shell(access, a.names.database, a.as('app_a'), { readOnly: true })
    const arguments_ = command.args.join(' ')
    t.notMatch(arguments_, a.passwords.app_a.reveal())
    t.notMatch(arguments_, a.names.database)
    t.strictSame(command.env, {})
    if (!client) return
    const folder = await mkdtemp(join(tmpdir(), 'saasctl-shell-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const ask = async (readOnly: boolean, sql: string) => {
      const { args, files } = engine.shell(access, a.names.database, a.as('app_a'), { readOnly })
      const options = join(folder, 'options')
      await writeFile(options, files?.['SAASCTL_OPTIONS'] ?? '', { mode: 0o600 })
      return run(client, [...args.map(arg => arg.replace('$SAASCTL_OPTIONS', options)), '-N', '-e', sql])
    }
    t.match(await ask(true, 'select current_user()'), { stdout: `${a.names.logins.app_a}@%\n` })
    await t.rejects(ask(true, 'insert into notes values (1)'), /READ ONLY/)
    await ask(false, 'insert into notes values (1)')
  })
}

async function secrets(t: Test, running: RunningMysql) {
  const { engine, access } = running

  t.test('no password ever reaches the server’s log, also when it logs every statement', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    await session.setPasswords(a.names, { app_a: new Secret('canary-canary-canary') })
    await session.end()
    const log = await readFile(join(running.server.dataDir, 'general.log'), 'utf8')
    t.match(log, /ALTER USER.*IDENTIFIED/, 'the log has the statements')
    for (const password of Object.values(a.passwords)) t.notMatch(log, password.reveal())
    t.notMatch(log, 'canary-canary-canary')
    await running.query(
      a.names.database,
      { login: a.names.logins.app_a, password: new Secret('canary-canary-canary') },
      'select 1'
    )
  })

  t.test('an error holds neither password nor hash, and setting none that is not there half-makes nothing', async t => {
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    const missing = plan(engine)
    const error = await session.setPasswords(missing.names, { owner: new Secret('canary') }).catch(error => error)
    t.ok(error instanceof SaasctlError)
    t.notMatch(JSON.stringify(error) + error.stack + String(error.cause), /canary|\*[0-9A-F]{40}/)
    for (const bad of ['', 'p\u00e4ss', 'a\nb']) {
      await t.rejects(session.setPasswords(missing.names, { owner: new Secret(bad) }), { code: 'INVALID_INPUT' })
    }
    t.match(await engine.state(access, missing.names), { logins: { owner: 'absent' } })
  })
}

async function check(t: Test, binaries: MysqlBinaries) {
  const careless = ['--local-infile=1', '--secure-file-priv=', '--skip-skip-name-resolve', '--sql-mode=']
  const running = await startMysqlEngine(
    [
      ...careless,
      '--log-bin=binlog',
      '--binlog-format=STATEMENT',
      '--server-id=1',
      '--innodb-flush-log-at-trx-commit=2'
    ],
    binaries
  )
  t.teardown(() => running.stop())
  const found = async () => (await running.engine.check(running.access)).filter(({ level }) => level !== 'ok')
  const codes = async () => (await found()).map(({ code }) => code)

  await t.test('what is unsafe on a server is named, each with what mends it', async t => {
    const findings = await found()
    const unsafe = [
      'setting.local_infile',
      'setting.secure_file_priv',
      'setting.sql_mode',
      'setting.innodb_flush_log_at_trx_commit',
      'setting.binlog_format',
      'setting.log_bin_trust_function_creators'
    ]
    for (const code of unsafe) {
      const finding = findings.find(finding => finding.code === code)
      t.match(finding, { level: 'warning', fix: /\[mysqld\]/ }, code)
    }
  })

  await t.test('the statement that it gives mends the running server', async t => {
    for (const { fix = '' } of await found()) {
      const statement = /^SET GLOBAL [^;]*;/.exec(fix)?.[0]
      if (statement) await running.admin(statement)
    }
    const left = await codes()
    for (const mended of ['local_infile', 'sql_mode', 'binlog_format', 'log_bin_trust_function_creators']) {
      t.notOk(left.includes(`setting.${mended}`), mended)
    }
  })

  await t.test('a control login without a right is told which, and the statement gives it back', async t => {
    const { control } = running.access
    const before = await codes()
    await running.admin(`revoke all privileges, grant option from ${control.login}@'%'`)
    t.match(await running.engine.probe(running.access), { capabilities: { terminateSessions: false } })
    const missing = await found()
    t.strictSame(
      missing.map(({ code, level }) => `${code} ${level}`),
      ['control.rights error', 'control.grants error', 'control.tenants error']
    )
    t.match(missing[0], { message: /CREATE USER/ })
    for (const { fix } of missing) await running.admin(fix ?? '')
    t.strictSame(await codes(), before)
    t.match(await running.engine.probe(running.access), { capabilities: { terminateSessions: true } })
    const a = await make(running)
    await drop(running, a)
  })

  await t.test('an administrator as control login is warned of', async t => {
    await running.admin(
      `create user big@'%' identified by 'big-big-big'; grant all on *.* to big@'%' with grant option`
    )
    const control = { login: 'big', password: new Secret('big-big-big') }
    const findings = await running.engine.check({ ...running.access, control })
    t.match(
      findings.find(({ code }) => code === 'control.superuser'),
      { level: 'warning' }
    )
    t.notOk(findings.some(({ level }) => level === 'error'))
  })

  await t.test('a tenant’s login with more than its database is found', async t => {
    const [a, b] = [await make(running), await make(running)]
    t.teardown(() => drop(running, a))
    t.teardown(() => drop(running, b))
    const login = `'${a.names.logins.app_a}'@'%'`
    await running.admin(`grant process on *.* to ${login}; grant select on ${b.names.database}.* to ${login};
      create user '${a.names.logins.app_a}'@'10.0.0.1'`)
    const errors = (await found()).filter(({ level }) => level === 'error')
    t.strictSame(errors.map(({ code }) => code).sort(), ['tenants.double', 'tenants.foreign', 'tenants.power'])
    for (const { fix } of errors) await running.admin(fix ?? '')
    t.notOk((await found()).some(({ level }) => level === 'error'))
  })
}

/** What the container is set up with, on a server that is not one. */
async function composed(t: Test, binaries: MysqlBinaries) {
  const folder = join(packageFolder, 'docker', 'tenants-mysql')
  const lines = (await readFile(join(folder, 'server.cnf'), 'utf8')).split('\n').filter(line => / = /.test(line))
  const options = lines.map(line => `--${line.replace(/ = /, '=').replace('/run/mysqld', '/tmp')}`)
  const durable = '--innodb-flush-log-at-trx-commit=1'
  const running = await startMysqlEngine([durable, ...options], binaries)
  t.teardown(() => running.stop())
  // As the image does: the script is read into a shell that has a function for SQL.
  const script = (await readFile(join(folder, 'init', '10-control.sh'), 'utf8')).replace(
    '/run/secrets/',
    `${t.testdir({ tenants_password: 'abc123' })}/`
  )
  const { stdout } = await run('/bin/sh', ['-c', `docker_process_sql() { cat; }\n${script}`])
  await running.admin(`drop user saasctl_server@'%'`)
  await running.admin(stdout)
  const control = { login: 'saasctl_server', password: new Secret('abc123') }
  t.strictSame(
    (await running.engine.check({ ...running.access, control })).filter(({ level }) => level !== 'ok'),
    [],
    'the check finds nothing to mend'
  )
}

/** A server whose own defaults are none of ours. */
async function otherSettings(t: Test, binaries: MysqlBinaries) {
  const running = await startMysqlEngine(
    [
      '--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT',
      '--lower-case-table-names=1',
      '--character-set-server=latin1',
      '--collation-server=latin1_swedish_ci',
      '--default-time-zone=+05:30',
      '--init-connect=set autocommit=0',
      '--performance-schema=ON'
    ],
    binaries
  )
  t.teardown(() => running.stop())
  const { engine, access } = running

  await t.test('a database is made, used and dropped as anywhere else', async t => {
    const a = await make(running)
    for (const role of loginRoles) await engine.identify(access, a.names.database, a.as(role), a.id)
    t.match(
      await running.query(
        a.names.database,
        a.as('readonly'),
        'select @@character_set_database as charset, @@collation_database as collation'
      ),
      [{ charset: 'utf8mb4', collation: 'utf8mb4_unicode_520_ci' }]
    )
    t.match(await engine.state(access, a.names), { database: 'open' })
    await drop(running, a)
    t.match(await engine.inventory(access), { databases: [], logins: [] })
  })

  await t.test('sessions are named for whoever reads performance_schema', async t => {
    const operation = uuidv7()
    const session = await engine.enter(access, fence('named', operation))
    t.teardown(() => session.end())
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const owner = await session.enterDatabase(a.names, a.as('owner'))
    const named = await running.admin(
      `select attr_value as name from performance_schema.session_connect_attrs where attr_name = 'program_name'`
    )
    t.ok(named.some(({ name }) => name === `saasctl/${operation}/1`))
    await owner.end()
  })
}

async function tls(t: Test, binaries: MysqlBinaries) {
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-tls-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const ours = await certificate(folder, 'ours', 'IP:127.0.0.1')
  const foreign = await certificate(folder, 'foreign', 'DNS:db.example.com')
  const start = async (pair?: { cert: string; key: string }) => {
    const running = await startMysqlEngine([], binaries)
    t.teardown(() => running.stop())
    if (pair) {
      const { uid, gid } = await stat(running.server.dataDir)
      const options: string[] = []
      for (const [option, text] of Object.entries({ cert: pair.cert, key: pair.key })) {
        const path = join(running.server.dataDir, `server.${option}`)
        await writeFile(path, text, { mode: 0o600 })
        await chown(path, uid, gid)
        options.push(`--ssl-${option}=${path}`)
      }
      await running.server.restart(options)
    }
    const trusting = (ca: string) => ({ ...running.access, tls: { mode: 'verify-full' as const, ca } })
    return { running, trusting, probe: (ca: string) => running.engine.probe(trusting(ca)) }
  }

  await t.test('a server is trusted by its authority and its name, and nothing less', async t => {
    const { running, trusting, probe } = await start(ours)
    t.match(await probe(ours.cert), { version: binaries.version })
    await t.rejects(probe(foreign.cert), { code: 'SERVER_DENIED', retryable: false }, 'another authority')
    const a = await make({ ...running, access: trusting(ours.cert) })
    await t.rejects(running.query(a.names.database, a.as('app_a'), 'select 1'), 'a tenant’s login in plaintext')
    await running.engine.identify(trusting(ours.cert), a.names.database, a.as('app_a'), a.id)
  })

  await t.test('a certificate for another name is refused, before the password is sent', async t => {
    const { probe } = await start(foreign)
    await t.rejects(probe(foreign.cert), { code: 'SERVER_DENIED', message: /altnames|does not match/ })
  })

  await t.test('a server without TLS is not talked to in plaintext instead', async t => {
    const { probe } = await start()
    await t.rejects(probe(ours.cert), { code: 'SERVER_DENIED', message: /secure connection/ })
  })
}

async function certificate(folder: string, name: string, subject: string) {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await run('openssl', [
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
