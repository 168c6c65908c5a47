import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import t, { type Test } from 'tap'
import { loadTemplate } from '../../src/templates/files.js'
import { asSuperuser, skipWithoutPostgres, startServer } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()

const folder = resolve('tenant-migrations/postgres')
const files = (await readdir(folder)).map(file => file.replace(/\.sql$/, '')).sort()
const server = await startServer()
t.teardown(() => server.stop())

/** A session of a tenant's owner, who is no superuser, in a new empty database. */
async function tenant(t: Test, name: string): Promise<pg.Client> {
  await asSuperuser(server, async superuser => {
    await superuser.query(`create role ${name} login password 'owner'`)
    await superuser.query(`create database ${name} owner ${name}`)
  })
  const client = new pg.Client({ host: server.host, port: server.port, user: name, password: 'owner', database: name })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Moves by node-pg-migrate itself, as `node-pg-migrate --migrations-schema saasctl` does, and says what was moved. */
async function migrate(
  client: pg.Client,
  direction: 'up' | 'down',
  count = Number.POSITIVE_INFINITY
): Promise<string[]> {
  const moved = await runner({
    dbClient: client,
    dir: folder,
    direction,
    count,
    migrationsTable: 'pgmigrations',
    migrationsSchema: 'saasctl',
    createMigrationsSchema: true,
    log: () => {}
  })
  return moved.map(migration => migration.name)
}

/** Everything in `public`, one line each, sorted: a column that was taken away and put back may stand elsewhere. */
async function schema(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(`
    select format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.attidentity::text || a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid)) as line
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace
    union all
    select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
    union all select indexdef from pg_indexes where schemaname = 'public'
    union all select viewname || definition from pg_views where schemaname = 'public'
    union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    order by line`)
  return rows.map(row => row.line)
}

t.test('all up, all down and all up again leaves the same schema, and nothing in between', async t => {
  const client = await tenant(t, 'whole')
  t.strictSame(await migrate(client, 'up'), files)
  const head = await schema(client)
  t.strictSame(await migrate(client, 'down'), files.toReversed())
  t.strictSame(await schema(client), [])
  await migrate(client, 'up')
  t.strictSame(await schema(client), head)
})

t.test('each migration takes back exactly what it did', async t => {
  const client = await tenant(t, 'steps')
  for (const file of files) {
    const before = await schema(client)
    t.strictSame(await migrate(client, 'up', 1), [file])
    const after = await schema(client)
    t.notSame(after, before, `${file} does something`)
    await migrate(client, 'down', 1)
    t.strictSame(await schema(client), before, `${file} goes down`)
    await migrate(client, 'up', 1)
    t.strictSame(await schema(client), after, `${file} goes up again`)
  }
})

t.test('a line that ran before a crash may run again where a file has no transaction', async t => {
  const client = await tenant(t, 'again')
  const validate = files.indexOf('0011_customers_currency_validate')
  await migrate(client, 'up', validate + 1)
  const after = await schema(client)
  await client.query(`delete from saasctl.pgmigrations where name = $1`, [files[validate]])
  await migrate(client, 'up', 1)
  t.strictSame(await schema(client), after)
})

t.test('programs of both ages work between expand and contract, and their rows arrive', async t => {
  const client = await tenant(t, 'ages')
  const prices = 'select sku, unit_price::float from products order by sku'
  await migrate(client, 'up', files.indexOf('0009_products_unit_price'))
  await client.query(`insert into products (sku, name, price_cents) values ('A', 'before', 1250)`)
  await client.query(`insert into customers (name, email, country) values ('Kern', 'a@kern.example', 'CH')`)
  await client.query(`insert into customers (name, email) values ('Nowhere', 'a@nowhere.example')`)
  await migrate(client, 'up', 2)
  await client.query(`insert into products (sku, name, price_cents) values ('B', 'old program', 300)`)
  await client.query(`insert into products (sku, name, unit_price) values ('C', 'new program', 0.0035)`)
  await client.query(`update products set price_cents = 400 where sku = 'B'`)
  await client.query(`insert into customers (name, email) values ('Late', 'a@late.example')`)
  const both = await client.query('select sku, price_cents from products order by sku')
  t.strictSame(
    both.rows.map(row => row.price_cents),
    [1250, 400, 0]
  )
  await migrate(client, 'up')
  t.strictSame((await client.query(prices)).rows, [
    { sku: 'A', unit_price: 12.5 },
    { sku: 'B', unit_price: 4 },
    { sku: 'C', unit_price: 0.0035 }
  ])
  const currencies = await client.query('select currency from customers order by id')
  t.strictSame(
    currencies.rows.map(row => row.currency),
    ['CHF', 'EUR', 'EUR']
  )
  await migrate(client, 'down', files.length - files.indexOf('0009_products_unit_price'))
  const back = await client.query('select sku, price_cents from products order by sku')
  t.strictSame(
    back.rows.map(row => row.price_cents),
    [1250, 400, 0]
  )
})

t.test('invoices from the time before numbers get theirs in the order they were issued', async t => {
  const client = await tenant(t, 'numbers')
  await migrate(client, 'up', files.indexOf('0006_invoice_numbers'))
  await client.query(`insert into customers (name, email) values ('Kern', 'a@kern.example')`)
  await client.query(`insert into invoices (customer_id, status, issued_on) values
    (1, 'issued', '2025-02-01'), (1, 'draft', null), (1, 'paid', '2025-01-15'), (1, 'void', '2024-12-30')`)
  await migrate(client, 'up')
  const { rows } = await client.query('select number from invoices order by id')
  t.strictSame(
    rows.map(row => row.number),
    ['2025-00002', null, '2025-00001', '2024-00001']
  )
})

t.test('the product, at head', async t => {
  const client = await tenant(t, 'product')
  await migrate(client, 'up')
  const standard = (await loadTemplate('tenant-templates', 'standard')).engines.postgres?.seeds ?? []
  for (const { sql } of standard) await client.query(sql)

  await t.test('the standard template starts a tenant with settings and a first project', async t => {
    for (const { sql } of standard) await client.query(sql)
    const { rows } = await client.query(
      'select (select count(*)::int from settings) as settings, (select count(*)::int from projects) as projects'
    )
    t.strictSame(rows, [{ settings: 4, projects: 1 }], 'also when its seed ran twice')
  })

  await t.test('the demo template brings 50 invoices, with totals, numbers and events', async t => {
    const demo = (await loadTemplate('tenant-templates', 'demo')).engines.postgres?.seeds ?? []
    for (const { sql } of [...demo, ...demo]) await client.query(sql)
    const { rows } = await client.query(`select count(*)::int as invoices, count(number)::int as numbered,
      (select count(*)::int from invoice_totals where total > 0) as totals,
      (select count(*)::int from events where action = 'invoice.issued') as issued from invoices`)
    t.strictSame(rows, [{ invoices: 50, numbered: 44, totals: 50, issued: 44 }], 'also when its seeds ran twice')
  })

  await t.test('an invoice that was not issued after all leaves no gap in the numbers', async t => {
    const issue = `insert into invoices (customer_id, status, issued_on) values (1, 'issued', '2031-05-01') returning number`
    const number = async () => (await client.query(issue)).rows[0].number
    t.equal(await number(), '2031-00001')
    await client.query('begin')
    t.equal(await number(), '2031-00002')
    await client.query('rollback')
    t.equal(await number(), '2031-00002')
  })

  await t.test('the event log only grows', async t => {
    const refused = { code: '23000', message: /append-only/ }
    await t.rejects(client.query(`update events set action = 'nothing'`), refused)
    await t.rejects(client.query('delete from events'), refused)
    await t.rejects(client.query('truncate events'), refused)
  })

  await t.test('a SKU is unique within the tenant', async t => {
    const add = `insert into products (sku, name, unit_price) values ('CHAIR-1', 'A chair', 80)`
    await client.query(add)
    await t.rejects(client.query(add), { code: '23505', constraint: 'products_sku_key' })
  })

  await t.test('a change is dated', async t => {
    const { rows } = await client.query(
      `update customers set name = name || '!' where id = 1 returning updated_at > created_at as dated`
    )
    t.strictSame(rows, [{ dated: true }])
  })

  await t.test('what makes no sense is refused by the database', async t => {
    const nonsense = {
      users_role_known: `insert into users (email, name, role) values ('a@b.example', 'A', 'god')`,
      users_email_key: `insert into users (email, name) values ('OLGA@demo.example', 'Olga again')`,
      customers_email_form: `insert into customers (name, email) values ('A', 'nobody')`,
      customers_currency_form: `update customers set currency = 'eur' where id = 1`,
      projects_ends_after_start: `update projects set ends_on = starts_on - 1 where starts_on is not null`,
      invoices_number_when_issued: `update invoices set status = 'draft' where status = 'paid'`,
      invoices_due_after_issue: `update invoices set due_on = issued_on - 1 where status = 'paid'`,
      invoices_status_fkey: `update invoices set status = 'lost' where status = 'paid'`,
      invoice_lines_tax_rate_range: 'update invoice_lines set tax_rate = 2',
      products_unit_price_positive: 'update products set unit_price = -1'
    }
    for (const [constraint, sql] of Object.entries(nonsense)) {
      const error = await t.rejects(client.query(sql))
      t.match(error, { constraint }, sql)
    }
  })
})
