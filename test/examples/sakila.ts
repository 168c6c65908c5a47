import pg from 'pg'
import t, { type Test } from 'tap'
import { loadSakila } from '../../examples/sakila.js'
import { sakilaFolder } from '../support/sakila-folder.js'
import { asSuperuser, skipWithoutPostgres, startServer } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()

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

const schema = `--
-- PostgreSQL database dump
--
SET standard_conforming_strings = off;
CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;
ALTER PROCEDURAL LANGUAGE plpgsql OWNER TO postgres;
SET search_path = public, pg_catalog;

CREATE TABLE staff (
    staff_id integer NOT NULL PRIMARY KEY,
    name text,
    store_id integer NOT NULL
);

ALTER TABLE public.staff OWNER TO postgres;

CREATE TABLE store (
    store_id integer NOT NULL PRIMARY KEY,
    manager_staff_id integer NOT NULL
);

CREATE FUNCTION shout() RETURNS trigger
    AS $_$
BEGIN
  NEW.name := upper(NEW.name);
  RETURN NEW;
END $_$
    LANGUAGE plpgsql;

ALTER FUNCTION public.shout() OWNER TO postgres;

CREATE TRIGGER staff_shout BEFORE INSERT OR UPDATE ON staff FOR EACH ROW EXECUTE PROCEDURE shout();

CREATE RULE store_insert AS ON INSERT TO store DO INSTEAD NOTHING;

ALTER TABLE ONLY staff
    ADD CONSTRAINT staff_store_id_fkey FOREIGN KEY (store_id) REFERENCES store(store_id);
ALTER TABLE ONLY store
    ADD CONSTRAINT store_manager_staff_id_fkey FOREIGN KEY (manager_staff_id) REFERENCES staff(staff_id);

GRANT ALL ON SCHEMA public TO postgres;
GRANT ALL ON SCHEMA public TO PUBLIC;
`

const data = [
  'ALTER TABLE staff DISABLE TRIGGER ALL;',
  'COPY public.staff (staff_id, name, store_id) FROM stdin;',
  '1\tMike\\tHillyer\\n\\\\o/ ; $$ --\t1',
  '2\t\\N\t2',
  '\\.',
  'ALTER TABLE staff ENABLE TRIGGER ALL;',
  'COPY public.store (store_id, manager_staff_id) FROM stdin;',
  '1\t1',
  '2\t2',
  '\\.',
  'analyze staff;',
  ''
].join('\n')

t.test('a superuser’s dump loads as the owner of the database, and leaves the session as it was', async t => {
  const client = await tenant(t, 'dump')
  const folder = t.testdir({ 'postgres-schema.sql': schema, 'postgres-data.sql': data })
  t.strictSame(await loadSakila(client, folder), { tables: 2, rows: 4 })
  const { rows } = await client.query('select s.name from staff s join store using (store_id) order by staff_id')
  t.strictSame(rows, [{ name: 'Mike\tHillyer\n\\o/ ; $$ --' }, { name: null }])
  const { rows: settings } = await client.query(`select current_setting('standard_conforming_strings') as strings`)
  t.strictSame(settings, [{ strings: 'on' }])
})

t.test('foreign keys, triggers and rules hold after the load', async t => {
  const client = await tenant(t, 'rules')
  await loadSakila(client, t.testdir({ 'postgres-schema.sql': schema, 'postgres-data.sql': data }))
  await t.rejects(client.query('update staff set store_id = 9'), { code: '23503' })
  await client.query(`update staff set name = 'mike'`)
  await client.query('insert into store values (3, 1)')
  const { rows } = await client.query('select distinct name, (select count(*)::int from store) as stores from staff')
  t.strictSame(rows, [{ name: 'MIKE', stores: 2 }])
})

t.test('the schema is not opened to everybody', async t => {
  const client = await tenant(t, 'closed')
  await client.query('revoke all on schema public from public')
  await loadSakila(client, t.testdir({ 'postgres-schema.sql': schema, 'postgres-data.sql': data }))
  const { rows } = await client.query(`select count(*)::int as grants from pg_namespace n, aclexplode(n.nspacl) a
    where nspname = 'public' and a.grantee = 0`)
  t.strictSame(rows, [{ grants: 0 }])
})

t.test('a load that fails leaves nothing', async t => {
  const client = await tenant(t, 'failed')
  const folder = t.testdir({ 'postgres-schema.sql': schema, 'postgres-data.sql': data.replace('1\t1\n', '1\t7\n') })
  await t.rejects(loadSakila(client, folder), { code: '23503' })
  const { rows } = await client.query(`select to_regclass('public.staff') as staff`)
  t.strictSame(rows, [{ staff: null }])
})

const sakila = sakilaFolder(t)

t.test('Sakila arrives whole', { skip: sakila === undefined && 'no Sakila here' }, async t => {
  const client = await tenant(t, 'sakila')
  t.strictSame(await loadSakila(client, sakila ?? ''), { tables: 15, rows: 46_273 })
  const { rows } = await client.query(`select (select count(*)::int from payment) as payments,
    (select count(*)::int from only payment) as unpartitioned, (select count(*)::int from rental) as rentals,
    (select count(*)::int from film where fulltext @@ to_tsquery('fate & dog')) as films,
    (select count(*)::int from customer_list) as customers, (select count(*)::int from film_in_stock(1, 1)) as copies,
    (select count(*)::int from pg_constraint where contype = 'f' and convalidated) as references`)
  t.strictSame(rows, [
    { payments: 16_049, unpartitioned: 16_049, rentals: 16_044, films: 8, customers: 599, copies: 4, references: 40 }
  ])
})
