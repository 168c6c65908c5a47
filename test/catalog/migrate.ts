import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type CatalogRole, createCatalogLogin } from '../../src/catalog/credentials.js'
import { migrationsFolder, programVersion } from '../../src/catalog/instance.js'
import { migrateCatalog } from '../../src/catalog/migrate.js'
import { loadConfig } from '../../src/config.js'
import { SaasctlError } from '../../src/errors.js'
import { open } from '../../src/saasctl.js'
import { asSuperuser, postgresBinaries, skipWithoutPostgres, startServer, type TestServer } from '../support/servers.js'

const actor = { name: 'tester', proof: 'asserted' } as const
const canary = 'made-for-this-test'
/** A server for catalogs alone: any login may come over TCP. */
const hba = 'local all postgres scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'

/** An empty catalog database of an owner's, as an operator would make it: by default one who may make roles. */
async function emptyCatalog(server: TestServer, name: string, owner = 'owner', right = 'createrole'): Promise<string> {
  await asSuperuser(server, async client => {
    const there = await client.query('select from pg_roles where rolname = $1', [owner])
    if (there.rowCount === 0) await client.query(`create role ${owner} login ${right} password '${canary}'`)
    await client.query(`create database ${name} owner ${owner}`)
  })
  return `postgres://${owner}:${canary}@${server.host}:${server.port}/${name}`
}

async function rows<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Everything in the catalog's schema that a migration makes, with its owner and rights, one line each. */
async function shape(server: TestServer, database: string): Promise<string[]> {
  return asSuperuser(
    server,
    async client => {
      const { rows } = await client.query<{ line: string }>(`
        select format('%s %s %s %s %s %s %s', c.relname, c.relkind, pg_get_userbyid(c.relowner), c.relacl, a.attname,
          format_type(a.atttypid, a.atttypmod), concat(a.attnotnull, pg_get_expr(d.adbin, d.adrelid))) as line
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace = 'saasctl'::regnamespace and c.relkind in ('r', 'v')
        union all select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
          from pg_constraint where connamespace = 'saasctl'::regnamespace
        union all select indexdef from pg_indexes where schemaname = 'saasctl'
        union all select viewname || definition from pg_views where schemaname = 'saasctl'
        union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal and tgrelid::regclass::text like 'saasctl.%'
        union all select concat(pg_get_functiondef(oid), pg_get_userbyid(proowner), proacl) from pg_proc where pronamespace = 'saasctl'::regnamespace
        union all select concat(nspname, nspacl) from pg_namespace where nspname = 'saasctl'
        union all select concat(datname, datacl) from pg_database where datname = current_database()
        order by line`)
      return rows.map(({ line }) => line)
    },
    database
  )
}

async function refusal(promise: Promise<unknown>): Promise<SaasctlError> {
  const error = await promise.then(
    () => new Error('It was accepted.'),
    (thrown: unknown) => thrown
  )
  if (error instanceof SaasctlError) return error
  throw error
}

/** One sentence for a person, no line of a driver, no secret, and a way out. */
function clear(t: Test, error: SaasctlError): void {
  t.match(error.message, /^[A-Z][^\n]*\.$/)
  t.match(error.hint, /^[A-Z][^\n]*[.;]$/)
  t.notMatch(inspect(error, { depth: 9 }), canary, 'no password')
}

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    const server = await startServer({ binaries, hba })
    t.teardown(() => server.stop())
    const on = (fact: string) => `PostgreSQL ${binaries.major}: ${fact}`
    const versions = await programVersion()
    const count = (await readdir(migrationsFolder)).length
    const files = (found: string[]) => t.equal(found.length, count)

    t.test(on('the catalog goes up, all the way down and up again to the same shape'), async t => {
      const url = await emptyCatalog(server, 'whole')
      files(await migrateCatalog(url))
      const up = await shape(server, 'whole')
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      t.teardown(() => client.end())
      const down = await runner({
        dbClient: client,
        dir: fileURLToPath(migrationsFolder),
        direction: 'down',
        count: Number.POSITIVE_INFINITY,
        migrationsTable: 'pgmigrations',
        migrationsSchema: 'saasctl',
        singleTransaction: true,
        log: () => {}
      })
      t.equal(down.length, count)
      const left = await rows<{ name: string }>(
        url,
        `select relname as name from pg_class where relnamespace = 'saasctl'::regnamespace`
      )
      t.ok(
        left.every(({ name }) => name.startsWith('pgmigrations')),
        'only the ledger of migrations is left'
      )
      files(await migrateCatalog(url))
      t.strictSame(await shape(server, 'whole'), up)
    })

    t.test(on('migrating again changes nothing, and several at once wait for each other'), async t => {
      const url = await emptyCatalog(server, 'twice')
      const all = await Promise.all([1, 2, 3, 4].map(() => migrateCatalog(url)))
      t.strictSame(all.map(applied => applied.length).sort(), [0, 0, 0, count])
      const once = await shape(server, 'twice')
      t.strictSame(await migrateCatalog(url), [])
      t.strictSame(await shape(server, 'twice'), once)
      t.strictSame(
        await rows(url, `select has_database_privilege('saasctl_control', current_database(), 'create') as may`),
        [{ may: false }],
        'what the queue’s migrations needed for a moment is taken back'
      )
      const [instance] = await rows<{ schema_version: number }>(url, 'select schema_version from saasctl.instance')
      t.equal(instance?.schema_version, versions, 'the catalog counts its migrations')
    })

    t.test(on('a login that may not make roles is told what it lacks, and nothing is kept'), async t => {
      const url = await emptyCatalog(server, 'weak', 'weak_owner', '')
      const error = await refusal(migrateCatalog(url))
      t.match({ code: error.code, exit: error.exit }, { code: 'CATALOG_DENIED', exit: 4 })
      t.match(error.hint, /CREATEROLE.*SAASCTL_CATALOG_ADMIN_URL/)
      clear(t, error)
      t.strictSame(
        await rows(
          url,
          `select count(*)::int from pg_class where relnamespace = to_regnamespace('saasctl') and relkind = 'r'`
        ),
        [{ count: 1 }],
        'but for the empty ledger of migrations'
      )
    })

    t.test(on('a login that does not own the database is refused'), async t => {
      await emptyCatalog(server, 'theirs')
      const stranger = await emptyCatalog(server, 'ours', 'other')
      const url = new URL(stranger)
      url.pathname = '/theirs'
      const error = await refusal(migrateCatalog(url.href))
      t.equal(error.code, 'CATALOG_DENIED')
      clear(t, error)
    })

    if (binaries.major >= 16) {
      t.test(on('the owner of a second catalog on the server is told how to share the roles'), async t => {
        const url = await emptyCatalog(server, 'second', 'second')
        const error = await refusal(migrateCatalog(url))
        t.equal(error.code, 'CATALOG_DENIED')
        t.match(error.message, /roles of catalogs belong to the owner of another catalog/)
        clear(t, error)
        const grant = /GRANT .*;/.exec(error.hint ?? '')?.[0] ?? ''
        await asSuperuser(server, client => client.query(grant))
        files(await migrateCatalog(url))
      })
    }

    t.test(on('credentials for a catalog that is not migrated are refused'), async t => {
      const url = await emptyCatalog(server, 'bare', 'mighty', 'superuser')
      await rows(url, 'create table public.something (id int)')
      const error = await refusal(createCatalogLogin(url, 'control', actor))
      t.equal(error.code, 'CATALOG_UNMIGRATED')
      clear(t, error)
    })

    t.test(on('each kind of login sees what its program needs, and nothing else'), async t => {
      const url = await emptyCatalog(server, 'roles')
      await migrateCatalog(url)
      await rows(url, `select from saasctl.audit_append('catalog', 'tester', 'asserted', 'test', 'catalog', '{}')`)
      const connect = async (role: CatalogRole) => {
        const client = new pg.Client({ connectionString: (await createCatalogLogin(url, role, actor)).url })
        await client.connect()
        t.teardown(() => client.end())
        return client
      }
      const relations = await asSuperuser(
        server,
        async client =>
          (
            await client.query<{ name: string; column: string }>(
              `select c.oid::regclass::text as name, min(a.attname) as column from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
               where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace in (select oid from pg_namespace where nspname in ('saasctl', 'graphile_worker'))
               group by c.oid order by 1`
            )
          ).rows,
        'roles'
      )
      t.ok(relations.length > 20, `${relations.length} tables and views`)

      for (const [role, may] of [
        ['router', ['saasctl.instance', 'saasctl.route', 'saasctl.route_hostname']],
        [
          'auditor',
          [
            'saasctl.audit_chain',
            'saasctl.audit_checkpoint',
            'saasctl.audit_checkpoint_head',
            'saasctl.audit_event',
            'saasctl.audit_payload',
            'saasctl.backup',
            'saasctl.export',
            'saasctl.instance'
          ]
        ]
      ] as const) {
        const client = await connect(role)
        const reads = new Set<string>()
        for (const { name, column } of relations) {
          if (await allowed(client, `select * from ${name}`)) reads.add(name)
          for (const sql of writes(name, column)) t.notOk(await allowed(client, sql), `${role}: ${sql}`)
        }
        t.strictSame([...reads].sort(), [...may], `${role} reads`)
        const { rows: calls } = await client.query<{ name: string }>(
          `select proname as name from pg_proc where pronamespace in ('saasctl'::regnamespace) and prorettype <> 'trigger'::regtype
             and has_function_privilege(oid, 'execute') order by 1`
        )
        t.ok(
          // An auditor may show its token, and ask for an export.
          calls.every(
            ({ name }) =>
              name.startsWith(`${role}_`) || (role === 'auditor' && ['operator_asks', 'export_request'].includes(name))
          ),
          `${role} calls ${calls.map(({ name }) => name).join(', ') || 'nothing'}`
        )
        for (const sql of [
          `select from saasctl.audit_append('catalog', 'me', 'proven', 'test', 'catalog', '{}')`,
          'create table saasctl.mine (id int)',
          'create table public.mine (id int)',
          'create schema mine',
          'create temp table mine (id int)',
          'set role saasctl_control',
          'set role saasctl_audit',
          'set role owner',
          'set session authorization owner',
          'create role mine',
          'select rolpassword from pg_authid',
          `select pg_read_file('/etc/passwd')`
        ]) {
          t.notOk(await allowed(client, sql), `${role}: ${sql}`)
        }
      }

      const control = await connect('control')
      for (const { name, column } of relations.filter(({ name }) => name.startsWith('saasctl.audit'))) {
        t.ok(await allowed(control, `select * from ${name}`), name)
        for (const sql of writes(name, column)) t.notOk(await allowed(control, sql), `control: ${sql}`)
        t.notOk(await allowed(control, `drop table ${name}`))
        t.notOk(await allowed(control, `alter table ${name} disable trigger all`))
        t.notOk(await allowed(control, `lock table ${name} in exclusive mode`))
      }
      const append = 'saasctl.audit_append(text, text, text, text, text, text)'
      for (const sql of [
        'set role saasctl_audit',
        'set role owner',
        'grant saasctl_audit to current_user',
        'alter table saasctl.audit_event owner to saasctl_control',
        `alter function ${append} owner to saasctl_control`,
        `alter function ${append} security invoker`,
        `drop function ${append}`,
        'drop schema saasctl cascade',
        'create table saasctl.mine (id int)',
        'drop owned by saasctl_audit'
      ]) {
        t.notOk(await allowed(control, sql), `control: ${sql}`)
      }
      t.ok(
        await allowed(control, `select from saasctl.audit_append('catalog', 'me', 'asserted', 'test', 'catalog', '{}')`)
      )
      t.notOk(
        await allowed(control, `select from saasctl.audit_append('catalog', 'me', 'sworn', 'test', 'catalog', '{}')`),
        'there are two kinds of proof'
      )
      const [event] = (await control.query(`select body from saasctl.audit_event where action = 'catalog.credentials'`))
        .rows
      t.match(event, { body: /"login":"owner","name":"tester","proof":"asserted"/ }, 'making credentials is audited')
    })

    t.test(on('a login of nobody’s kind cannot connect to the catalog'), async t => {
      const url = new URL(await emptyCatalog(server, 'elsewhere', 'stranger', 'createdb'))
      url.pathname = '/roles'
      await t.rejects(rows(url.href, 'select 1'), { code: '42501' })
    })
  }

  const server = await startServer({ hba })
  t.teardown(() => server.stop())
  const home = await mkdtemp(join(tmpdir(), 'saasctl-home-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  const admin = await emptyCatalog(server, 'versions')

  const openWith = (catalog: string, more: Record<string, string> = {}) =>
    open(loadConfig({ cwd: home, env: { SAASCTL_CATALOG_URL: catalog, SAASCTL_HOME: home, ...more } }))

  const opening = async (t: Test, url: string, code: string, exit: number, message: RegExp): Promise<void> => {
    const error = await refusal(openWith(url))
    t.match({ code: error.code, exit: error.exit, message: error.message }, { code, exit, message })
    clear(t, error)
  }

  t.test('a catalog that is not there, not ours or of another version is told apart', async t => {
    const at = (change: Partial<Record<'port' | 'pathname' | 'password' | 'username' | 'search', string>>) =>
      Object.assign(new URL(control), change).href
    await opening(t, admin, 'CATALOG_UNMIGRATED', 1, /no schema yet/)
    await migrateCatalog(admin)
    const control = (await createCatalogLogin(admin, 'control', actor)).url
    await (await openWith(control)).close()

    await opening(t, at({ port: '1' }), 'CATALOG_UNREACHABLE', 1, /Nothing answers/)
    await opening(t, at({ pathname: '/nowhere' }), 'CATALOG_UNREACHABLE', 1, /database does not exist/)
    await opening(t, at({ password: 'wrong' }), 'CATALOG_DENIED', 4, /refused the password/)
    await opening(t, at({ username: 'nobody' }), 'CATALOG_DENIED', 4, /refused the (password|login)/)
    await opening(t, at({ password: '' }), 'CATALOG_DENIED', 4, /asks for a password/)
    await opening(t, at({ search: '?sslmode=verify-full' }), 'CATALOG_DENIED', 4, /TLS/)
    await opening(
      t,
      (await createCatalogLogin(admin, 'auditor', actor)).url.replace('versions', 'postgres'),
      'CATALOG_UNMIGRATED',
      1,
      /no schema/
    )

    const versions = await programVersion()
    const set = (schema: number, oldest: number) =>
      rows(admin, `update saasctl.instance set schema_version = ${schema}, oldest_program = ${oldest}`)
    await set(versions - 1, 1)
    await opening(
      t,
      control,
      'CATALOG_BEHIND',
      1,
      new RegExp(`at version ${versions - 1}; this program needs ${versions}`)
    )
    await set(versions + 1, versions)
    await (await openWith(control)).close()
    await set(versions + 2, versions + 1)
    await opening(t, control, 'CATALOG_AHEAD', 1, /by a newer saasctl/)
    await rows(admin, 'delete from saasctl.instance')
    await opening(t, control, 'CATALOG_UNMIGRATED', 1, /no schema yet/)
  })

  t.test('something else that listens at the catalog’s address is no catalog', async t => {
    for (const answer of ['', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'N']) {
      const other = createServer(socket => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end(answer))
      })
      await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
      const { port } = other.address() as { port: number }
      const error = await refusal(openWith(`postgres://control:${canary}@127.0.0.1:${port}/saasctl`))
      t.match({ code: error.code, exit: error.exit }, { code: 'CATALOG_UNREACHABLE', exit: 1 }, JSON.stringify(answer))
      clear(t, error)
      await new Promise(resolve => other.close(resolve))
    }
  })
}

/** Runs a statement and takes it back; tells whether it was let through. */
async function allowed(client: pg.Client, sql: string): Promise<boolean> {
  await client.query('begin')
  try {
    await client.query(sql)
    return true
  } catch {
    return false
  } finally {
    await client.query('rollback')
  }
}

function writes(table: string, column: string): string[] {
  return [
    `insert into ${table} default values`,
    `update ${table} set "${column}" = default`,
    `delete from ${table}`,
    `truncate ${table}`
  ]
}
