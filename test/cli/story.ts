import pg from 'pg'
import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

interface Tenant {
  slug: string
  status: string
  plan: string
  labels: Record<string, string>
  displayName: string | null
  migration: string
  database: string
}

interface Outcome {
  tenant: Tenant
  operation: { id: string; kind: string; status: string }
}

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json } = await cli(t, plane.env)
  const show = (slug: string) => json<Tenant>(['tenant', 'show', slug])
  let database = ''

  t.test('a customer signs up: one command, and the tenant is active in a database of its own', async t => {
    const made = await run(['tenant', 'create', 'acme', '--plan', 'large', '--label', 'tier=gold,country=de'])
    t.equal(made.code, 0, made.stderr)
    t.match(
      made.stdout,
      /^SLUG +STATUS +PLAN +SERVER +DATABASE +MIGRATION +CREATED\nacme +active +large +main +t\w{26} +0002_grown +\d{4}-\d\d-\d\dT\d\d:\d\dZ\n$/
    )
    t.match(made.stderr, /tenant\.create: make logins\n/, 'the steps are told on stderr')
    t.match(made.stderr, /saasctl tenant dsn acme --reveal/, 'and so is the next command')
    const acme = await show('acme')
    t.match(acme, { status: 'active', plan: 'large', labels: { tier: 'gold', country: 'de' } })
    database = acme.database
  })

  t.test('the same key again finds the same tenant, and another request with it is refused', async t => {
    const wish = ['tenant', 'create', 'keyed', '--idempotency-key', 'order-17']
    const first = await json<Outcome>(wish)
    t.equal((await json<Outcome>(wish)).operation.id, first.operation.id)
    const other = await run([...wish, '--plan', 'large'])
    t.equal(other.code, 6, other.stderr)
  })

  t.test('the application gets a connection string, with its password only when it is asked for', async t => {
    const hidden = await run(['tenant', 'dsn', 'acme'])
    t.match(hidden.stdout, new RegExp(`^postgresql://t\\w+@127\\.0\\.0\\.1:${plane.server.port}/${database}\\S*\\n$`))
    const revealed = await run(['tenant', 'dsn', 'acme', '--reveal', '--reason', 'first deployment'])
    const client = new pg.Client({ connectionString: revealed.stdout.trim() })
    await client.connect()
    t.match((await client.query('select body from notes')).rows, [{ body: 'seed' }], 'and the application is in')
    await client.end()
    const readOnly = await json<{ dsn: string; readOnly: boolean }>(['tenant', 'dsn', 'acme', '--read-only'])
    t.not(readOnly.dsn, hidden.stdout.trim(), 'reading has a login of its own')
  })

  t.test(
    'support looks inside, read-only; with --write it may change data; nothing of it is in the process list',
    async t => {
      const asks = async (sql: string, ...flags: string[]) => run(['tenant', 'shell', 'acme', ...flags], { stdin: sql })
      const looked = await asks('\\pset format unaligned\nselect body from notes;')
      t.equal(looked.code, 0, looked.stderr)
      t.match(looked.stdout, /seed/)
      const write = `insert into notes values (2, 'from the shell');`
      const refused = await asks(write)
      t.equal(refused.code, 1)
      t.match(refused.stderr, /read-only transaction|permission denied/)
      t.equal((await asks(write, '--write')).code, 0)
      const environment = await asks('\\! env')
      t.notMatch(environment.stdout, /SAASCTL_/, 'no setting of ours goes on to the shell')
    }
  )

  t.test('a tool that is not there is named, with what to install', async t => {
    const missing = await run(['tenant', 'psql', 'acme'], { env: { PATH: '/nonexistent' } })
    t.equal(missing.code, 1)
    t.match(missing.stderr, /psql is not on this machine\.\n→ Install postgresql-client/)
  })

  t.test('the customer buys more: the plan changes, labels come and go', async t => {
    const changed = await json<Outcome>([
      'tenant',
      'update',
      'acme',
      '--plan',
      'small',
      '--label',
      'tier=silver',
      '--label',
      'country-'
    ])
    t.equal(changed.operation.kind, 'tenant.limits', 'other limits are brought to the server')
    t.strictSame((await show('acme')).labels, { tier: 'silver' })
    const named = await json<Outcome>(['tenant', 'update', 'acme', '--display-name', 'Acme “Rockets” GmbH'])
    t.equal(named.operation, null, 'a name needs no work')
    t.equal(named.tenant.displayName, 'Acme “Rockets” GmbH')
  })

  t.test('the product grows: a new migration is pending, planned, applied and undone', async t => {
    const name = await tiny.grow()
    const states = async () =>
      Object.fromEntries(
        (await json<Array<{ name: string; state: string }>>(['tenant', 'migrations', 'acme'])).map(line => [
          line.name,
          line.state
        ])
      )
    t.equal((await states())[name], 'pending')
    const planned = await json<Array<{ migration: string }>>(['tenant', 'migrate', 'acme', '--dry-run'])
    t.strictSame(
      planned.map(line => line.migration),
      [name]
    )
    t.equal((await states())[name], 'pending', 'a dry run changes nothing')
    await json(['tenant', 'migrate', 'acme'])
    t.equal((await states())[name], 'applied')
    const undone = await json<Outcome>(['tenant', 'migrate', 'acme', '--down', '--confirm', 'acme'])
    t.equal(undone.tenant.migration, '0002_grown')
    t.equal((await json<Outcome>(['tenant', 'migrate', 'acme', '--to', name])).tenant.migration, name)
    const unknown = await run(['tenant', 'migrate', 'acme', '--to', '9999_nothing'])
    t.equal(unknown.code, 5)
  })

  t.test('the company is renamed: its database stays where it is, the old name is kept back', async t => {
    const { tenant } = await json<Outcome>(['tenant', 'rename', 'acme', 'acme-corp'])
    t.equal(tenant.database, database)
    const taken = await run(['tenant', 'create', 'acme'])
    t.equal(taken.code, 6)
    t.match(taken.stderr, /kept back/)
    await json(['tenant', 'rename', 'acme-corp', 'acme'])
  })

  t.test('an invoice is unpaid, then paid', async t => {
    t.equal((await json<Outcome>(['tenant', 'suspend', 'acme', '--reason', 'invoice 42'])).tenant.status, 'suspended')
    t.equal((await json<Outcome>(['tenant', 'resume', 'acme'])).tenant.status, 'active')
  })

  t.test('the customer leaves, comes back, and leaves for good', async t => {
    const left = await run(['tenant', 'delete', 'acme', '--reason', 'contract ended'])
    t.equal(left.code, 0, left.stderr)
    t.match(left.stderr, /acme is purged at \d{4}-\d\d-\d\dT\d\d:\d\dZ; until then: saasctl tenant undelete acme/)
    t.notMatch((await run(['tenant', 'list'])).stdout, /acme/)
    t.match((await run(['tenants', 'ls', '--status', 'deleted'])).stdout, /^acme +deleted/m)
    t.equal((await json<Outcome>(['tenant', 'undelete', 'acme'])).tenant.status, 'active')
    const gone = await json<Outcome>(['tenant', 'rm', 'acme', '--now', '--confirm', 'acme'])
    t.equal(gone.tenant.status, 'purged')
    t.equal((await run(['tenant', 'get', 'acme'])).code, 5)
  })

  t.test('every operation can be looked up afterwards', async t => {
    const [last] = await json<Array<{ id: string; kind: string }>>(['operation', 'list', '--limit', '1'])
    t.equal(last?.kind, 'tenant.purge')
    const shown = await run(['operation', 'show', last?.id ?? ''])
    t.match(shown.stdout, /^kind +tenant\.purge$/m)
    t.match(shown.stdout, /POSITION +NAME +STATUS/)
    t.equal((await run(['operation', 'cancel', last?.id ?? ''])).code, 6, 'what is over is not cancelled')
    t.equal((await run(['operation', 'watch', last?.id ?? ''])).code, 0, 'and watching it is OK')
  })

  t.test('the servers are looked after', async t => {
    t.match((await run(['server', 'list'])).stdout, /^main +postgres +\d+/m)
    const shown = await json<Record<string, unknown>>(['server', 'show', 'main'])
    t.notMatch(JSON.stringify(shown), /password/i, 'not even the sealed password is printed')
    t.match(await json(['server', 'cordon', 'main']), { status: 'cordoned' })
    const nowhere = await run(['tenant', 'create', 'nowhere'])
    t.equal(nowhere.code, 6)
    t.match(nowhere.stderr, /main is cordoned/)
    t.match(await json(['server', 'uncordon', 'main']), { status: 'active' })
    t.match(await json(['server', 'update', 'main', '--capacity', '7', '--region', 'eu']), {
      capacity: 7,
      region: 'eu'
    })
    t.equal((await run(['server', 'remove', 'main'])).code, 6, 'a server with tenants is not forgotten')
    const checked = await run(['server', 'check', 'main'])
    t.equal(checked.code, 0, checked.stderr)
    t.match(checked.stdout, /^ok +The control login has CREATEDB/m)
  })

  t.test('templates and plans are looked at, and built', async t => {
    t.match((await run(['template', 'list'])).stdout, /^tiny +\d+ +yes +postgres/m)
    t.match(await json(['template', 'build', 'tiny', '--warm', '1']), [{ server: 'main', built: true, warmed: 1 }])
    t.match(await json(['template', 'show', 'tiny']), { changed: false, built: [{ server: 'main', warm: 1 }] })
    t.match((await run(['plan', 'ls'])).stdout, /^small +4 connections/m)
    t.match(await json(['plan', 'show', 'large']), { limits: { connections: 8 } })
    t.match(await json(['plan', 'apply']), [{ name: 'small' }, { name: 'large' }])
  })

  t.test('the catalog and the whole installation are looked over', async t => {
    t.match(await json(['catalog', 'status']), { servers: 1, superuser: false })
    const doctor = await run(['doctor'])
    t.equal(doctor.code, 0, doctor.stdout + doctor.stderr)
    t.match(doctor.stdout, /^warning +keys: /m)
    t.match(doctor.stderr, /and no error/)
  })
}
