import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import pg from 'pg'
import t, { type Test } from 'tap'
import { loadNoun, makeProgram, pathOf } from '../../cli/program.js'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { packageFolder } from '../../src/config.js'
import { permissions } from '../../src/operators/permissions.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

// A day of an auditor: the auditor's login of the catalog, a folder without any key, and the public keys on paper.
if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run: house, json: houseJson } = await cli(t, plane.env)
  const { url } = await createCatalogLogin(plane.adminUrl, 'auditor', { name: 'tester', proof: 'asserted' })
  const auditors = { SAASCTL_CATALOG_URL: url, SAASCTL_OPERATOR: 'ann' }
  const { run, json, folder } = await cli(t, auditors)
  const key = join(folder, 'signing.pem')
  await house(['tenant', 'create', 'acme'])
  await writeFile(key, (await house(['audit', 'key'])).stdout)
  const { token } = await houseJson<{ token: string }>(['operator', 'create', 'ada', '--role', 'admin'])
  const as = (token: string) => ({ env: { SAASCTL_TOKEN: token } })
  const lena = await houseJson<{ token: string }>(['operator', 'create', 'lena', '--role', 'auditor'], as(token))
  const mira = await houseJson<{ token: string }>(['operator', 'create', 'mira', '--role', 'auditor'], as(token))

  interface Export {
    id: string
    status: string
    store: string
    object: string
    actor: { name: string; proof: string }
  }

  await t.test('the house keeps a checkpoint and the trail in a store that an auditor verifies against', async t => {
    const elsewhere = pathToFileURL(join(folder, 'elsewhere')).href
    const { kept } = await houseJson<{ kept: string }>(['audit', 'checkpoint', '--to', elsewhere], as(token))
    t.equal(kept, `${elsewhere}/checkpoint-1`)
    t.match(await run(['audit', 'verify', '--checkpoint', kept, '--key', key]), {
      code: 0,
      stderr: /Up to checkpoint 1 of .*, nothing was changed/
    })
    const { object } = await json<{ object: string }>(['audit', 'export', '--to', elsewhere])
    const trail = join(folder, 'elsewhere', object)
    t.match(await run(['audit', 'verify', trail, '--checkpoint', kept, '--key', key]), { code: 0 })
    const away = await cli(t)
    t.match(await away.run(['audit', 'verify', trail, '--checkpoint', kept, '--key', key]), { code: 0 })
    t.strictSame(await readdir(away.folder), [], 'no catalog was made for it')
    t.match(await house(['audit', 'checkpoint', '--to', 'ftp://x'], as(token)), { code: 2, stderr: /is not a store/ })
    t.match(await run(['audit', 'verify', '--checkpoint', `${elsewhere}/none`]), { code: 5, stderr: /has no none/ })
  })

  const shown = (id: string) => json<Export>(['export', 'show', id])

  await t.test('an auditor asks for an export with a reason, a worker makes it, and it proves who asked', async t => {
    t.match(await run(['export', 'create', 'acme']), { code: 2, stderr: /An export has a reason/ })
    t.match(await run(['export', 'create', 'nobody', '--reason', 'x']), { code: 5, stderr: /no tenant "nobody"/ })
    t.match(await run(['export', 'create', 'acme', '--reason', 'x', '--out', 'a.zip']), { code: 4 })
    const asserted = await json<Export>(['export', 'create', 'acme', '--reason', 'audit 2026'])
    const proven = await json<Export>(['export', 'create', 'acme', '--reason', 'audit 2027'], as(lena.token))
    t.match(await json(['export', 'show', asserted.id]), {
      status: 'making',
      actor: { name: 'ann', proof: 'asserted' }
    })
    const { start } = await cli(t, plane.env)
    const worker = start(['worker'])
    try {
      for (const { id } of [asserted, proven])
        await eventually(
          () => shown(id),
          one => one.status === 'ready'
        )
    } finally {
      worker.child.kill('SIGTERM')
      await worker.ended
    }
    await signedAs(t, await shown(asserted.id), 'ann: audit 2026', { name: 'ann', proof: 'asserted' })
    await signedAs(t, await shown(proven.id), 'lena: audit 2027', { name: 'lena', proof: 'proven' })
    t.match(await json(['export', 'list', '--tenant', 'acme']), [{ by: 'lena' }, { by: 'ann' }])
    t.match(await json(['audit', 'list', '--action', 'export.ask']), [
      { actor: 'lena', proof: 'proven', payload: { reason: 'audit 2027' } },
      { actor: 'ann', proof: 'asserted' }
    ])
    t.match(await run(['audit', 'verify', '--key', key]), { code: 0, stderr: /every chain is whole/ })
    await house(['operator', 'revoke', 'lena'], as(token))
    t.match(await run(['export', 'create', 'acme', '--reason', 'late'], as(lena.token)), { code: 4 })
  })

  async function signedAs(t: Test, { store, object, actor }: Export, asked: string, by: object): Promise<void> {
    t.match(actor, by)
    const file = join(fileURLToPath(store), object)
    t.match(await run(['export', 'verify', file, '--key', key]), {
      code: 0,
      stdout: new RegExp(`intact, signed with the key[^]*${asked}`)
    })
  }

  await t.test('what an auditor may not do ends with 4, every single command, and changes nothing', async t => {
    const before = await everything()
    // A new file, or a server, in a folder of one's own is nobody else's business.
    const tried = (await examples()).filter(
      ({ path }) => !['migration new', 'dev start'].includes(path) && (permissions[path] || path === 'catalog migrate')
    )
    t.ok(tried.length > 90, `${tried.length} commands`)
    const may = tried.filter(({ path }) => permissions[path]?.includes('auditor'))
    t.strictSame(
      may.map(({ path }) => path),
      [
        'export create',
        'export list',
        'export show',
        'export verify',
        'audit list',
        'audit show',
        'audit verify',
        'audit export',
        'audit key',
        'audit certificate'
      ],
      'what an auditor may do'
    )
    const refused = [
      ...tried.filter(one => !may.includes(one)),
      { path: 'audit key', words: ['audit', 'key', '--rotate'] }
    ]
    refused.push({ path: 'catalog credentials create', words: ['catalog', 'credentials', 'create', 'auditor'] })
    const results = await runLines(refused.map(({ words }) => words))
    for (const [index, { code, said }] of results.entries())
      t.equal(code, 4, `${refused[index]?.words.join(' ')}: ${said}`)
    const asMira = { ...plane.env, SAASCTL_TOKEN: mira.token }
    for (const [index, { code, said }] of (
      await runLines(
        refused.map(({ words }) => words),
        asMira
      )
    ).entries())
      t.equal(code, 4, `with the house’s own login: ${refused[index]?.words.join(' ')}: ${said}`)
    const few = refused.filter((_, index) => index % 10 === 0).map(({ words }) => words)
    for (const { code, said } of await runLines(few, { SAASCTL_TOKEN: token }))
      t.equal(code, 4, `with an admin’s token: ${said}`)
    t.strictSame(await everything(), before)
  })

  await t.test('nor with the database’s own tools: every table refuses every write', async t => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    const before = await everything()
    for (const table of Object.keys(before)) {
      for (const sql of [`delete from ${table}`, `insert into ${table} default values`, `truncate ${table}`])
        await t.rejects(client.query(sql), { code: '42501' }, sql)
    }
    for (const sql of [
      `update saasctl.export set reason = 'x'`,
      `select saasctl.audit_append('x', 'x', 'proven', 'x', 'x', '{}')`,
      `select saasctl.export_request(gen_random_uuid(), gen_random_uuid(), 'acme', '{jsonl}', 'zip', false, null, 'x')`
    ])
      await t.rejects(client.query(sql), { code: /42501|42883/ }, sql)
    const ask = (formats: string, reason: string, token: Buffer | null, certificate: string | null = null) =>
      client.query<{ answer: string }>(
        `select saasctl.export_request(gen_random_uuid(), gen_random_uuid(), 'acme', $1, 'zip', false, $4, 'ada', $2, $3) as answer`,
        [formats, reason, token, certificate]
      )
    t.strictSame((await ask('{jsonl}', 'x', null, 'no certificate')).rows, [{ answer: 'certificate' }])
    for (const [answer, formats, reason, token] of [
      ['reason', '{jsonl}', '', null],
      ['formats', '{}', 'x', null],
      ['formats', '{jsonl,../x}', 'x', null],
      ['token', '{jsonl}', 'x', Buffer.alloc(32)]
    ] as const)
      t.strictSame((await ask(formats, reason, token)).rows, [{ answer }])
    t.strictSame(await everything(), before)
  })

  await t.test('nor with anything else that a server has for whoever is connected', async t => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => client.end())
    const before = await everything()
    // A session that could be ended.
    await plane.saasctl.catalog.query('select 1')
    for (const sql of [
      'create temp table mine (id int)',
      'create view pg_temp.mine as select 1',
      'create table public.mine (id int)',
      'create schema mine',
      'create extension dblink',
      'create publication mine',
      `create subscription mine connection '' publication mine`,
      'create role mine',
      'create database mine',
      'alter role current_user superuser',
      `alter role current_user valid until '2000-01-01'`,
      'set role saasctl_control',
      'set role saasctl_audit',
      'set session authorization saasctl_control',
      'set session_replication_role = replica',
      'alter system set log_statement = none',
      `copy (select 1) to program 'id'`,
      `copy saasctl.export from program 'id'`,
      `copy (select 1) to '/tmp/mine'`,
      'copy saasctl.export from stdin',
      `select pg_read_file('/etc/passwd')`,
      `select lo_import('/etc/passwd')`,
      'select * from saasctl.audit_chain for update',
      'select * from saasctl.export for key share',
      'do $$ begin lock table saasctl.audit_event in row exclusive mode; end $$',
      `comment on table saasctl.export is 'x'`,
      `select setval(oid, 1) from pg_class where relkind = 'S'`,
      `select pg_terminate_backend(pid) from pg_stat_activity where usename ~ '^saasctl_control'`,
      'select pg_switch_wal()',
      'checkpoint',
      'reassign owned by current_user to saasctl_control',
      'select rolpassword from pg_authid',
      ...['server', 'login', 'data_key', 'operator', 'operator_token'].map(name => `select * from saasctl.${name}`)
    ])
      await t.rejects(client.query(sql), { code: '42501' }, sql)
    // What no right covers: it changes nothing that anybody reads, and docs/auditors.md says so.
    for (const sql of [
      `notify saasctl_route, 'crowd x 0'`,
      'select lo_create(0)',
      'select pg_advisory_xact_lock(1)',
      'grant select on saasctl.export to public',
      'drop owned by current_user'
    ])
      await client.query(`begin; ${sql}; rollback`)
    for (const name of ['postgres', 'template1']) {
      const elsewhere = new URL(url)
      elsewhere.pathname = `/${name}`
      const stranger = new pg.Client({ connectionString: elsewhere.href })
      await t.rejects(stranger.connect(), `${name} is closed`)
    }
    t.strictSame(await everything(), before)
  })

  /** One example of each command, as its help shows it. */
  async function examples(): Promise<Array<{ path: string; words: string[] }>> {
    const program = makeProgram()
    for (const noun of program.commands) await loadNoun(noun)
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)]
    return all(program)
      .filter(command => command.commands.length === 0)
      .map(command => {
        let help = ''
        command.configureOutput({ writeOut: chunk => (help += chunk) }).outputHelp()
        const [line = ''] = /^ {2}\$ saasctl (.*)$/m.exec(help)?.[1]?.split(/ {2,}| [<>|] /) ?? []
        const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
        return { path: pathOf(command).replace('saasctl ', ''), words }
      })
  }

  async function runLines(lines: string[][], env: object = {}): Promise<Array<{ code: number; said: string }>> {
    const script = join(packageFolder, 'dist', 'test', 'support', 'run-lines.js')
    const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(lines)], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...auditors, ...env }
    })
    return JSON.parse(stdout)
  }

  /** Every table of the catalog, and what is in it. */
  async function everything(): Promise<Record<string, string>> {
    return plane.catalogAsSuperuser(async client => {
      const { rows } = await client.query<{ name: string }>(
        `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname = 'saasctl' order by 1`
      )
      const found: Record<string, string> = {}
      for (const { name } of rows) {
        const { rows: sums } = await client.query(
          `select md5(string_agg(t::text, ';' order by t::text)) as sum from ${name} t`
        )
        found[name] = sums[0].sum
      }
      return found
    })
  }
}
