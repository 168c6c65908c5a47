import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { mysqlControlLogin, skipWithoutMysql, startMariadb } from '../support/mariadb-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

interface Tenant {
  slug: string
  status: string
  server: string
  migration: string
  database: string
}

interface Outcome {
  tenant: Tenant
  operation: { id: string; kind: string; status: string }
}

/** A tenant's life on MySQL or MariaDB through the real command line, beside a PostgreSQL server in the same catalog. */
if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const tiny = await tinyTemplate(['postgres', 'mysql'])
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const server = await startMariadb(['--general-log=1', '--general-log-file=general.log'])
  t.teardown(() => server.stop())
  const control = await mysqlControlLogin(server)
  const { run, json } = await cli(t, plane.env)
  const address = `mysql://${control.login}@${server.host}:${server.port}`
  const show = (slug: string) => json<Tenant>(['tenant', 'show', slug])
  let database = ''

  await t.test('a server is added after a look, and a bad address or password leaves nothing behind', async t => {
    const wrong = await run(['server', 'add', 'maria', address, '--password-stdin'], { stdin: 'not-the-password' })
    t.equal(wrong.code, 1)
    t.match(wrong.stderr, /refused "saasctl_server"/)
    const away = await run(['server', 'add', 'maria', 'mysql://x@127.0.0.1:1', '--password-stdin'], { stdin: 'x' })
    t.equal(away.code, 1)
    t.match(away.stderr, /did not answer/)
    t.equal((await json<unknown[]>(['server', 'list'])).length, 1)
    const added = await run(['server', 'add', 'maria', address, '--password-stdin'], {
      stdin: control.password.reveal()
    })
    t.equal(added.code, 0, added.stderr)
    t.match((await run(['server', 'list'])).stdout, /^maria +mysql +10\.11/m)
    const checked = await run(['server', 'check', 'maria'])
    t.equal(checked.code, 0, checked.stdout)
    t.match(checked.stdout, /^ok +There is no anonymous login/m)
  })

  await t.test('a server that lacks a right is not added, and the statement that grants it is printed', async t => {
    await server.root(`create user weak@'%' identified by 'weak-weak'; grant select on mysql.* to weak@'%'`)
    const weak = `mysql://weak@${server.host}:${server.port}`
    const refused = await run(['server', 'add', 'weak', weak, '--password-stdin'], { stdin: 'weak-weak' })
    t.equal(refused.code, 1)
    t.match(refused.stderr, /lacks CREATE USER/)
    t.match(refused.stderr, /GRANT CREATE USER, PROCESS, CONNECTION.ADMIN ON \*\.\* TO 'weak'@'%'/)
  })

  await t.test('a customer signs up on it: one command, and the tenant is active', async t => {
    const made = await run(['tenant', 'create', 'acme', '--engine', 'mysql'])
    t.equal(made.code, 0, made.stderr)
    const acme = await show('acme')
    t.match(acme, { status: 'active', server: 'maria', migration: '0002_grown' })
    database = acme.database
    const other = await json<Outcome>(['tenant', 'create', 'other', '--engine', 'postgres'])
    t.equal(other.tenant.server, 'main', 'and its neighbour on PostgreSQL')
  })

  await t.test('the application gets a connection string, with its password only when it is asked for', async t => {
    const hidden = await run(['tenant', 'dsn', 'acme'])
    t.match(hidden.stdout, new RegExp(`^mysql://t\\w+@127\\.0\\.0\\.1:${server.port}/${database}\\S*\\n$`))
    const revealed = await run(['tenant', 'dsn', 'acme', '--reveal', '--reason', 'first deployment'])
    const client = await mysql.createConnection({ uri: revealed.stdout.trim() })
    t.match((await client.query('select body from notes'))[0], [{ body: 'seed' }], 'and the application is in')
    await client.end()
  })

  await t.test('support looks inside, read-only; with --write it may change data', async t => {
    const asks = async (sql: string, ...flags: string[]) => run(['tenant', 'shell', 'acme', ...flags], { stdin: sql })
    const looked = await asks('select body from notes;')
    t.equal(looked.code, 0, looked.stderr)
    t.match(looked.stdout, /seed/)
    const refused = await asks(`insert into notes values (2, 'from the shell');`)
    t.equal(refused.code, 1)
    t.match(refused.stderr, /READ ONLY|denied/)
    t.equal((await asks(`insert into notes values (2, 'from the shell');`, '--write')).code, 0)
    t.notMatch((await asks('\\! env')).stdout, /SAASCTL_[^O]|MYSQL_PWD/, 'no secret goes on to the shell')
    const missing = await run(['tenant', 'mysql', 'acme'], { env: { PATH: '/nonexistent' } })
    t.match(missing.stderr, /mariadb or mysql is not on this machine\.\n→ Install mariadb-client/)
  })

  await t.test('the plan changes, and the server has the new limits', async t => {
    const changed = await json<Outcome>(['tenant', 'update', 'acme', '--plan', 'large'])
    t.equal(changed.operation.kind, 'tenant.limits')
    const [row] = await server.root(`show create user '${database}a'@'%'`)
    t.match(Object.values(row ?? {})[0], /MAX_USER_CONNECTIONS 9 MAX_STATEMENT_TIME 8/)
  })

  await t.test('the product grows: a migration is applied and undone', async t => {
    const name = await tiny.grow()
    t.equal((await json<Outcome>(['tenant', 'migrate', 'acme'])).tenant.migration, name)
    t.match(await server.root('show tables', database), new Array(3).fill({}))
    t.equal(
      (await json<Outcome>(['tenant', 'migrate', 'acme', '--down', '--confirm', 'acme'])).tenant.migration,
      '0002_grown'
    )
    await json(['tenant', 'migrate', 'acme'])
  })

  await t.test(
    'suspended is suspended: nothing of the tenant runs, and its way in is back when it is resumed',
    async t => {
      const dsn = (await run(['tenant', 'dsn', 'acme', '--reveal'])).stdout.trim()
      const guest = await mysql.createConnection({ uri: dsn })
      const ended = new Promise<void>(resolve => guest.once('error', () => resolve()).once('end', () => resolve()))
      t.equal((await json<Outcome>(['tenant', 'suspend', 'acme', '--reason', 'invoice 42'])).tenant.status, 'suspended')
      await ended
      await t.rejects(mysql.createConnection({ uri: dsn }))
      t.equal((await json<Outcome>(['tenant', 'resume', 'acme'])).tenant.status, 'active')
      await (await mysql.createConnection({ uri: dsn })).end()
    }
  )

  await t.test('the company is renamed: its database stays where it is', async t => {
    t.equal((await json<Outcome>(['tenant', 'rename', 'acme', 'acme-corp'])).tenant.database, database)
    await json(['tenant', 'rename', 'acme-corp', 'acme'])
  })

  await t.test('warm databases are kept on it, and a tenant claims one', async t => {
    const built = await json(['template', 'build', 'tiny', '--warm', '1', '--server', 'maria'])
    t.match(built, [{ server: 'maria', warmed: 1 }])
    const { tenant } = await json<Outcome>(['tenant', 'create', 'quick', '--server', 'maria'])
    t.match(tenant, { status: 'active', server: 'maria' })
    const dsn = (await run(['tenant', 'dsn', 'quick', '--reveal'])).stdout.trim()
    const client = await mysql.createConnection({ uri: dsn })
    t.match((await client.query('select body from notes'))[0], [{ body: 'seed' }])
    await client.end()
  })

  await t.test('the whole installation is looked over, and what is wrong is found', async t => {
    const healthy = await run(['doctor'])
    t.equal(healthy.code, 0, healthy.stdout + healthy.stderr)
    await server.root(`create user ''@'localhost'; alter user '${database}a'@'%' account lock`)
    const found = await run(['doctor'])
    t.equal(found.code, 8)
    t.match(found.stdout, /anonymous login/)
    await server.root(`drop user ''@'localhost'; alter user '${database}a'@'%' account unlock`)
    t.equal((await run(['doctor'])).code, 0)
  })

  await t.test('the customer leaves, comes back, and leaves for good', async t => {
    t.equal((await run(['tenant', 'delete', 'acme', '--reason', 'contract ended'])).code, 0)
    t.equal((await json<Outcome>(['tenant', 'undelete', 'acme'])).tenant.status, 'active')
    const gone = await json<Outcome>(['tenant', 'rm', 'acme', '--now', '--confirm', 'acme'])
    t.equal(gone.tenant.status, 'purged')
    t.strictSame(await server.root(`select User from mysql.user where User like '${database}%'`), [])
    t.strictSame(await server.root(`show databases like '${database}%'`), [])
    t.strictSame(await server.root(`select Db from mysql.db where Db like '${database}%'`), [])
    t.equal((await run(['doctor'])).code, 0)
  })

  await t.test(
    'a server that is down fails the command in a sentence, and the operation goes on when it is back',
    async t => {
      server.kill('SIGKILL')
      const waiting = await run(['tenant', 'suspend', 'quick', '--timeout', '2s'])
      t.equal(waiting.code, 7)
      t.match(waiting.stderr, /still waiting\. .* did not answer/)
      const operation = /operation resume (\S+)"\.\n$/.exec(waiting.stderr)?.[1] ?? ''
      await server.restart()
      t.equal((await run(['operation', 'resume', operation])).code, 0)
      t.equal((await show('quick')).status, 'suspended')
      await json(['tenant', 'resume', 'quick'])
    }
  )

  await t.test('no password was ever in a log of the server', async t => {
    const log = await readFile(join(server.dataDir, 'general.log'), 'utf8')
    t.match(log, /CREATE USER/)
    const dsn = new URL((await run(['tenant', 'dsn', 'quick', '--reveal'])).stdout.trim())
    t.ok(dsn.password.length > 20)
    t.notMatch(log, dsn.password)
  })
}
