import { readdir } from 'node:fs/promises'
import t from 'tap'
import { dialects } from '../../src/engines/dialects.js'
import type { MigrationFile } from '../../src/engines/engine.js'
import { loadMigrations } from '../../src/engines/migration-files.js'
import { loadTemplate } from '../../src/templates/files.js'
import { mysqlEngines } from '../support/mysql-engine.js'
import { postgresEngines } from '../support/postgres-engine.js'
import { drop, inside, make, migrate, type Planned, type RunningEngine } from '../support/real-engines.js'

/** The example product on MySQL and MariaDB: the twin of `migrations.ts`, and held against PostgreSQL itself. */
const names = async (engine: string) => (await readdir(`tenant-migrations/${engine}`)).sort()
const files = {
  postgres: await loadMigrations('tenant-migrations/postgres', dialects.postgres),
  mysql: await loadMigrations('tenant-migrations/mysql', dialects.mysql)
}

await t.test('both engines have the same migrations and templates under the same names', async t => {
  t.strictSame(await names('mysql'), await names('postgres'))
  const phases = (list: MigrationFile[]) => list.map(({ name, options }) => [name, options.phase])
  t.strictSame(phases(files.mysql), phases(files.postgres), 'and in the same phases')
  for (const name of ['standard', 'demo']) {
    const { engines } = await loadTemplate('tenant-templates', name)
    const seeds = (engine: 'postgres' | 'mysql') =>
      engines[engine]?.seeds.map(({ file }) => file.replace(/\.(?:postgres|mysql)\./, '.'))
    t.strictSame(seeds('mysql'), seeds('postgres'), name)
  }
})

/** What a program sees of a schema, in words of both engines: what a column is for, not how it is called there. */
const meaning: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(?:tinyint|boolean)$/, 'boolean'],
  [/^(?:int|integer)$/, 'integer'],
  [/^(?:numeric|decimal)$/, 'decimal'],
  [/^(?:character varying|varchar)$/, 'text'],
  [/^(?:character|char|bpchar)$/, 'fixed text'],
  [/^timestamp/, 'instant'],
  [/^(?:jsonb|json|longtext)$/, 'json']
]

async function columns(running: RunningEngine, planned: Planned): Promise<string[]> {
  const mysql = running.engine.name === 'mysql'
  const schema = mysql ? planned.names.database : 'public'
  const rows = await running.admin(
    `select c.table_name as tab, c.column_name as col, c.data_type as type, c.is_nullable as nullable,
       coalesce(c.character_maximum_length, 0) as len
     from information_schema.columns c where c.table_schema = '${schema}' ${mysql ? `and c.extra not like '%INVISIBLE%'` : ''}`,
    planned.names.database
  )
  return rows
    .map(({ tab, col, type, nullable, len }) => {
      const kind = meaning.find(([pattern]) => pattern.test(String(type)))?.[1] ?? String(type)
      // A view has no NOT NULL on the one engine and may have it on the other; sums are of no fixed width.
      const required = tab === 'invoice_totals' ? '' : nullable === 'NO' ? 'required' : 'optional'
      return `${tab}.${col} ${kind}${/text$/.test(kind) ? `(${len})` : ''} ${required}`
    })
    .sort()
}

const engines = await mysqlEngines()
if (engines.length === 0)
  t.comment('NO MARIADB AND NO MYSQL HERE: the product was not tried on either. Install `mariadb-server`.')

for (const { title, start } of engines) {
  await t.test(title, async t => {
    const running = await start()
    t.teardown(() => running.stop())
    const made = async (list = files.mysql) => {
      const planned = await make(running)
      t.teardown(() => drop(running, planned))
      await migrate(running, planned, list)
      return planned
    }
    const print = (planned: Planned) => inside(running, planned, owner => owner.fingerprint())
    const query = (planned: Planned, sql: string) => running.query(planned.names.database, planned.as('app_a'), sql)

    for (const [index, postgres] of (await postgresEngines()).slice(0, 1).entries()) {
      await t.test(`after every migration a program sees what it sees on ${postgres.title} ${index}`, async t => {
        const other = await postgres.start()
        t.teardown(() => other.stop())
        const [a, b] = [await made([]), await make(other)]
        for (const [index, file] of files.mysql.entries()) {
          const after = files.mysql[index - 1]?.name ?? null
          await inside(running, a, owner => owner.apply(file, 'up', after))
          await inside(other, b, owner => owner.apply(files.postgres[index] as MigrationFile, 'up', after))
          t.strictSame(await columns(running, a), await columns(other, b), file.name)
        }
      })
    }

    await t.test('each migration takes back exactly what it did, and all of it leaves nothing', async t => {
      const a = await made([])
      const empty = await print(a)
      await inside(running, a, async owner => {
        for (const [index, file] of files.mysql.entries()) {
          const after = files.mysql[index - 1]?.name ?? null
          const before = await owner.fingerprint()
          await owner.apply(file, 'up', after)
          const applied = await owner.fingerprint()
          await owner.apply(file, 'down', file.name)
          t.equal(await owner.fingerprint(), before, `${file.name} goes down`)
          await owner.apply(file, 'up', after)
          t.equal(await owner.fingerprint(), applied, `${file.name} goes up again`)
        }
        for (const file of files.mysql.toReversed()) await owner.apply(file, 'down', file.name)
      })
      t.equal(await print(a), empty)
    })

    await t.test('programs of both ages work between expand and contract, and their rows arrive', async t => {
      const price = files.mysql.findIndex(({ name }) => name === '0009_products_unit_price')
      const a = await made(files.mysql.slice(0, price))
      await query(a, `insert into products (sku, name, price_cents) values ('A', 'before', 1250)`)
      await query(a, `insert into customers (name, email, country) values ('Kern', 'a@kern.example', 'CH')`)
      await query(a, `insert into customers (name, email) values ('Nowhere', 'a@nowhere.example')`)
      await migrate(running, a, files.mysql.slice(price, price + 2))
      await query(a, `insert into products (sku, name, price_cents) values ('B', 'old program', 300)`)
      await query(a, `insert into products (sku, name, unit_price) values ('C', 'new program', 0.0035)`)
      await query(a, `update products set price_cents = 400 where sku = 'B'`)
      await query(a, `insert into customers (name, email) values ('Late', 'a@late.example')`)
      const column = async (sql: string) => (await query(a, sql)).map(row => Object.values(row)[0])
      t.strictSame(await column('select price_cents from products order by sku'), [1250, 400, 0])
      await migrate(running, a, files.mysql.slice(price + 2))
      t.strictSame(await column('select unit_price from products order by sku'), ['12.5000', '4.0000', '0.0035'])
      t.strictSame(await column('select currency from customers order by id'), ['CHF', 'EUR', 'EUR'])
      await inside(running, a, async owner => {
        for (const file of files.mysql.slice(price).toReversed()) await owner.apply(file, 'down', file.name)
      })
      t.strictSame(await column('select price_cents from products order by sku'), [1250, 400, 0])
    })

    await t.test('invoices from the time before numbers get theirs in the order they were issued', async t => {
      const at = files.mysql.findIndex(({ name }) => name === '0006_invoice_numbers')
      const a = await made(files.mysql.slice(0, at))
      await query(a, `insert into customers (name, email) values ('Kern', 'a@kern.example')`)
      await query(
        a,
        `insert into invoices (customer_id, status, issued_on) values
         (1, 'issued', '2025-02-01'), (1, 'draft', null), (1, 'paid', '2025-01-15'), (1, 'void', '2024-12-30')`
      )
      await migrate(running, a, files.mysql.slice(at))
      t.strictSame(
        (await query(a, 'select number from invoices order by id')).map(row => row['number']),
        ['2025-00002', null, '2025-00001', '2024-00001']
      )
    })

    const a = await made()
    const seeds = (await loadTemplate('tenant-templates', 'demo')).engines.mysql?.seeds ?? []
    await inside(running, a, async owner => {
      for (const { sql } of [...seeds, ...seeds]) await owner.run(sql)
    })

    await t.test(
      'the demo template brings 50 invoices, with totals, numbers and events, also when it ran twice',
      async t => {
        const [row] = await query(
          a,
          `select count(*) as invoices, count(number) as numbered, (select count(*) from settings) as settings,
           (select count(*) from invoice_totals where total > 0) as totals,
           (select count(*) from events where action = 'invoice.issued') as issued from invoices`
        )
        t.strictSame({ ...row }, { invoices: 50, numbered: 44, settings: 4, totals: 50, issued: 44 })
      }
    )

    await t.test('an invoice that was not issued after all leaves no gap in the numbers', async t => {
      const app = await running.hold(a.names.database, a.as('app_a'))
      t.teardown(() => app.close())
      const number = async () => {
        await app.query(`insert into invoices (customer_id, status, issued_on) values (1, 'issued', '2031-05-01')`)
        return (await app.query('select number from invoices where id = last_insert_id()'))[0]?.['number']
      }
      t.equal(await number(), '2031-00001')
      await app.query('start transaction')
      t.equal(await number(), '2031-00002')
      await app.query('rollback')
      t.equal(await number(), '2031-00002')
    })

    await t.test('the event log only grows', async t => {
      await t.rejects(query(a, `update events set action = 'nothing'`), { message: /append-only/ })
      await t.rejects(query(a, 'delete from events'), { message: /append-only/ })
      await t.rejects(query(a, 'truncate events'), { message: /denied/ })
    })

    await t.test('what makes no sense is refused by the database', async t => {
      const nonsense = {
        users_role_known: `insert into users (email, name, role) values ('a@b.example', 'A', 'god')`,
        users_email_key: `insert into users (email, name) values ('OLGA@demo.example', 'Olga again')`,
        products_sku_key: `insert into products (sku, name, unit_price) values ('CONS-DAY', 'again', 80)`,
        customers_email_form: `insert into customers (name, email) values ('A', 'nobody')`,
        customers_currency_form: `update customers set currency = 'eur' where id = 1`,
        projects_ends_after_start: `update projects set ends_on = starts_on - interval 1 day where starts_on is not null`,
        invoices_number_when_issued: `update invoices set status = 'draft' where status = 'paid'`,
        invoices_due_after_issue: `update invoices set due_on = issued_on - interval 1 day where status = 'paid'`,
        invoices_status_fkey: `update invoices set status = 'lost' where status = 'paid'`,
        invoice_lines_tax_rate_range: 'update invoice_lines set tax_rate = 2',
        products_unit_price_positive: 'update products set unit_price = -1'
      }
      for (const [constraint, sql] of Object.entries(nonsense)) {
        await t.rejects(query(a, sql), { message: new RegExp(constraint) }, sql)
      }
      await query(a, `insert into products (sku, name, unit_price) values ('cons-day', 'another', 80)`)
      t.pass('in small letters it is another SKU')
    })

    await t.test('a change is dated', async t => {
      await query(a, `update customers set name = concat(name, '!') where id = 1`)
      const [row] = await query(a, 'select updated_at > created_at as dated from customers where id = 1')
      t.equal(row?.['dated'], 1)
    })
  })
}
