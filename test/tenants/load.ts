import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findTenant } from '../../src/catalog/tenants.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { asTenantOwner } from '../support/as-owner.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** As pg_dump writes it: owners, rights, settings, rows with backslashes, quotes over several lines. */
const DUMP = `--
-- PostgreSQL database dump
--

\\restrict QkVnaW5uaW5n

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.notes (
    id integer NOT NULL,
    body text NOT NULL
);


ALTER TABLE public.notes OWNER TO somebody;
CREATE TABLE public.tags (
    id integer NOT NULL,
    name text
);


ALTER TABLE public.tags OWNER TO somebody;

CREATE TABLE public.pgmigrations (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    run_on timestamp without time zone NOT NULL
);

COPY public.notes (id, body) FROM stdin;
1	a\\\\b
2	\\\\! touch /tmp/never;
\\.


COPY public.pgmigrations (id, name, run_on) FROM stdin;
1	0001_grown	2026-01-01 00:00:00
2	0002_grown	2026-01-02 00:00:00
\\.


INSERT INTO public.tags VALUES (1, 'it''s
\\! no command
GRANT ALL ON it');
INSERT INTO public.tags VALUES (2, E'a\\'\\\\b'), (3, $x$
\\! nor this;
$x$);

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (id);

GRANT SELECT ON TABLE public.notes TO somebody_else;

\\unrestrict QkVnaW5uaW5n
`

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { run, json, folder } = await cli(t, plane.env)
  await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, { wait: true })
  const file = async (name: string, text: string | Buffer) => {
    await writeFile(join(folder, name), text)
    return name
  }
  const load = (slug: string, name: string, ...more: string[]) =>
    run(['tenant', 'create', slug, '--from', name, ...more])

  await t.test('a plain dump becomes a tenant, its rows as they were and all of it its own', async t => {
    const { code, stderr } = await load('acme', await file('acme.sql', DUMP))
    t.equal(code, 0, stderr)
    t.match(await findTenant(saasctl.catalog, 'acme'), { status: 'active', migration: '0002_grown' })
    const rows = await asTenantOwner(saasctl, 'acme', async client => [
      (await client.query('select body from notes order by id')).rows.map(({ body }) => body),
      (await client.query('select name from tags order by id')).rows.map(({ name }) => name),
      (
        await client.query(
          `select distinct tableowner = current_user as mine from pg_tables where schemaname = 'public'`
        )
      ).rows
    ])
    t.strictSame(rows, [
      ['a\\b', '\\! touch /tmp/never;'],
      [`it's\n\\! no command\nGRANT ALL ON it`, `a'\\b`, '\n\\! nor this;\n'],
      [{ mine: true }]
    ])
    t.equal((await run(['fleet', 'drift', 'acme'])).code, 0)
    t.equal((await run(['tenant', 'migrate', 'acme'])).code, 0)
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('line ends stay as they are within values, and are no matter between statements', async t => {
    const value = `INSERT INTO public.tags VALUES (9, 'CR\r\nLF');\n`
    for (const [slug, dump] of [
      ['values', DUMP + value],
      ['windows', (DUMP + value.replace('\r\n', '\n')).replaceAll('\n', '\r\n')]
    ] as const) {
      const { code, stderr } = await load(slug, await file(`${slug}.sql`, dump))
      t.equal(code, 0, stderr)
      const [tags, notes] = await asTenantOwner(saasctl, slug, async client => [
        (await client.query('select name from tags where id = 9')).rows,
        (await client.query('select body from notes order by id')).rows
      ])
      t.strictSame(tags, [{ name: 'CR\r\nLF' }], slug)
      t.strictSame(notes, [{ body: 'a\\b' }, { body: '\\! touch /tmp/never;' }], slug)
    }
  })

  await t.test('a file in another character set is refused, and not loaded with other letters', async t => {
    const text = `set client_encoding = 'LATIN1';\n${DUMP.replace("it''s", 'caf\u00e9')}`
    const { code, stderr } = await load('latin', await file('latin.sql', Buffer.from(text, 'latin1')))
    t.equal(code, 2, stderr)
    t.match(stderr, /no UTF-8[\s\S]*--encoding=UTF8/)
    const binary = Buffer.from('PGDMP\u0001\u000e\u0000\u0004\u0008\u00ff\u00fe', 'latin1')
    t.match(await load('binary', await file('binary.dump', binary)), { code: 2, stderr: /custom form/ })
  })

  await t.test('a file that would run something is refused by the command’s name, before anything is made', async t => {
    for (const [command, text] of [
      ['\\!', 'select 1;\n\\! touch /tmp/never\n'],
      ['\\copy', `\\copy notes from '/etc/passwd'\n`],
      ['\\o', 'select 1 \\o |sh\n;\n'],
      ['\\connect', '-- innocent\n\\connect postgres\n'],
      ['\\g', `select\nCOPY t FROM stdin;\n\\g |sh\n`],
      ['\\!', `create function f() returns text language sql as $a$ select '\\! x' $a$; \\! sh\n`]
    ] as const) {
      const { code, stderr } = await load('evil', await file('evil.sql', text))
      t.equal(code, 2, text)
      t.ok(stderr.includes(`"${command.replace('\\', '\\\\')}`), `${command}: ${stderr}`)
    }
    t.equal(await findTenant(saasctl.catalog, 'evil'), undefined)
  })

  await t.test('a load that fails leaves nothing, and says where it failed', async t => {
    const broken = await load('broken', await file('broken.sql', DUMP.replace('2\t0002', 'two\t0002')))
    t.equal(broken.code, 1)
    t.match(broken.stderr, /failed at line 39 .*invalid input syntax for type integer/)
    const other = await load('other', await file('other.sql', DUMP.replace('name text\n', 'name text,\n more int\n')))
    t.equal(other.code, 8)
    t.match(other.stderr, /extra column public\.tags\.more/)
    const cut = await load('cut', await file('cut.sql', DUMP.slice(0, DUMP.indexOf('\\\\! touch'))))
    t.match(cut, { code: 2, stderr: /ends within the rows of a table/ })
    t.match(await load('gone', 'gone.sql'), { code: 2, stderr: /"gone.sql" cannot be read/ })
    t.match(await load('custom', await file('custom.dump', 'PGDMP\u0001\u000f')), { code: 2, stderr: /custom form/ })
    for (const slug of ['broken', 'other', 'cut', 'gone', 'custom'])
      t.equal(await findTenant(saasctl.catalog, slug), undefined)
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test(
    'what pg_dump says of a tenant of another control plane is loaded too, when it is told what is in it',
    async t => {
      const dsn = await json<{ dsn: string }>(['tenant', 'dsn', 'acme', '--reveal', '--read-only'])
      const args = ['-N', 'saasctl', dsn.dsn]
      const env = { ...process.env }
      const text = execFileSync('pg_dump', args, { env, encoding: 'utf8' })
      const { code, stderr } = await load('copy', await file('copy.sql', text), '--baseline', '0002_grown')
      t.equal(code, 0, stderr)
      t.match(await findTenant(saasctl.catalog, 'copy'), { migration: '0002_grown' })
    }
  )
}
