import { existsSync } from 'node:fs'
import { buildTemplate, findTenant, type Saasctl, tenantDsn } from '../../src/index.js'
import { asOwner, asTenant, refusal } from '../as-tenant.js'
import { enterTenant } from '../cast.js'
import type { Narrator } from '../narrator.js'
import { loadSakila, sakila } from '../sakila.js'

const wait = { wait: true }

/** Two tenants, each in a database of its own, one of them with a film rental's real data. */
export async function createChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<void> {
  chapter('Two tenants are born')
  const [built] = await tell(
    () => buildTemplate(saasctl, 'standard', { again: false, warm: undefined }, wait),
    ([line]) =>
      `The template "standard" is ${line?.built ? 'built from its migrations and sealed for copying' : 'built already'}.`
  )
  const create = (slug: string, plan: string) =>
    tell(
      () => enterTenant(saasctl, { slug, plan, engine: 'postgres' }),
      ({ tenant }) => `${slug} (${plan}) is active in database ${tenant.database}, under logins of its own.`
    )
  await create('acme', 'pro')
  await create('globex', 'free')

  chapter('acme gets its data, as itself: nothing here runs as a superuser')
  if (existsSync(sakila)) await rentFilms(saasctl, tell)
  else await writeInvoices(saasctl, tell)

  const { database } = await findTenant(saasctl.catalog, 'acme')
  const globex = new URL(await tenantDsn(saasctl, 'globex', { readOnly: false, reveal: true, reason: 'the story' }))
  globex.pathname = `/${database}`
  await tell(
    () => refusal(globex.href),
    message => `globex knocks at acme's database: "${message}".`
  )

  chapter('A sign-up takes one catalog transaction')
  await tell(
    () => buildTemplate(saasctl, 'standard', { again: false, warm: 2 }, wait),
    ([line]) => `Two databases are kept warm on server ${line?.server ?? built?.server}.`
  )
  await create('initech', 'free')
  say('That one was claimed from the warm pool.')
}

type Tell = Narrator['tell']

/** The owner login makes tables; the app login, which has no right to, only works with them. */
async function rentFilms(saasctl: Saasctl, tell: Tell): Promise<void> {
  await tell(
    () => asOwner(saasctl, 'acme', client => loadSakila(client, sakila)),
    ({ tables, rows }) => `acme loads the Sakila film rental: ${tables} tables, ${rows.toLocaleString('en')} rows.`
  )
  await tell(
    () =>
      asTenant(saasctl, 'acme', client =>
        client.query<{ title: string; rentals: number }>(
          `select f.title, count(*)::int as rentals from rental r join inventory i using (inventory_id) join film f using (film_id)
           group by f.title order by 2 desc, 1 limit 1`
        )
      ),
    ({ rows }) => `Its application asks: the film rented most is ${rows[0]?.title}, ${rows[0]?.rentals} times.`
  )
}

/** Without Sakila: the example product's own demo data. */
async function writeInvoices(saasctl: Saasctl, tell: Tell): Promise<void> {
  const { loadTemplate } = await import('../../src/templates/files.js')
  const demo = await loadTemplate(saasctl.config.templates, 'demo')
  await tell(
    () =>
      asTenant(saasctl, 'acme', async client => {
        for (const seed of demo.engines.postgres?.seeds ?? []) await client.query(seed.sql)
        return client.query<{ n: number; total: string }>(
          'select count(distinct i.id)::int as n, round(sum(l.quantity * l.unit_price), 2) as total from invoices i join invoice_lines l on l.invoice_id = i.id'
        )
      }),
    ({ rows }) => `acme's application writes ${rows[0]?.n} invoices, ${rows[0]?.total} in all.`
  )
}
