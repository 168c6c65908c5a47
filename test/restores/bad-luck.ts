import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { verifyBackup } from '../../src/backups/verify.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { findDrift } from '../../src/fleet/drift.js'
import { queryFleet } from '../../src/fleet/query.js'
import { cloneTenant } from '../../src/restores/clone.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { undoRestore } from '../../src/restores/undo.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { routerApp } from '../support/router-app.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const config = { log_connections: 'on', log_line_prefix: `'%m [%p] %q%u@%d '` }
  const plane = await controlPlane({ env: tiny.env, config })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const create = (slug: string) => createTenant(saasctl, { slug }, { template: 'tiny' }, wait)
  const databaseOf = async (slug: string) => (await findTenant(catalog, slug))?.database ?? ''

  await create('acme')
  const app = await routerApp({ config: plane.config })
  t.teardown(() => app.close())
  app.post<{ Body: { id: number } }>('/notes', async request => {
    await (await request.tenantDb()).query('insert into notes (id, body) values ($1, $2)', [request.body.id, 'written'])
    return {}
  })

  interface Answer {
    id: number
    status: number
    retryAfter: unknown
  }
  /** Writes, several at once, while the act is under way and a moment longer. */
  const writingDuring = async (act: () => Promise<unknown>, from: number): Promise<Answer[]> => {
    const answers: Answer[] = []
    let [id, left] = [from, Number.POSITIVE_INFINITY]
    const writer = async () => {
      while (left > 0) {
        const mine = id++
        left -= 1
        const { statusCode: status, headers } = await app.inject({
          method: 'POST',
          url: '/notes',
          headers: { 'x-tenant': 'acme' },
          payload: { id: mine }
        })
        answers.push({ id: mine, status, retryAfter: headers['retry-after'] })
        // A refusal costs nothing: without a breath, refusals would leave the restore no turn in this process.
        await sleep(10)
      }
    }
    const writers = Array.from({ length: 4 }, writer)
    try {
      await act()
    } finally {
      left = 200
      await Promise.all(writers)
    }
    return answers
  }
  const idsOf = async (database: string, from: number) =>
    asSuperuser(
      plane.server,
      async client => {
        const { rows } = await client.query<{ id: number }>('select id from notes where id >= $1 order by id', [from])
        return rows.map(row => row.id)
      },
      database
    )

  await t.test(
    'written to all the while, a restored tenant answers 503 and then goes on; no write is lost',
    async t => {
      await backupTenant(saasctl, 'acme', wait)
      const before = await databaseOf('acme')
      const answers = await writingDuring(() => restoreTenant(saasctl, 'acme', {}, wait), 1000)
      const after = await databaseOf('acme')
      t.not(after, before)
      const odd = answers.filter(
        ({ status, retryAfter }) => status !== 200 && !(status === 503 && Number(retryAfter) > 0)
      )
      t.strictSame(odd.slice(0, 5), [], 'served, or told to come again')
      const written = answers.filter(({ status }) => status === 200).map(({ id }) => id)
      const kept = [...(await idsOf(before, 1000)), ...(await idsOf(after, 1000))]
      t.strictSame(
        written.filter(id => !kept.includes(id)),
        [],
        'whatever was answered with 200 is there'
      )
      const inNew = await idsOf(after, 1000)
      t.ok(inNew.length > 0, 'the restored one is written to')
      const first = answers.findIndex(({ id }) => inNew.includes(id))
      const late = answers.slice(first).filter(({ id, status }) => status === 200 && !inNew.includes(id))
      t.strictSame(late, [], 'and from then on nothing more goes to the one that was replaced')
      await t.rejects(undoRestore(saasctl, 'acme', { discardWrites: false }, wait), { message: /written to/ })
    }
  )

  await t.test('an undo that lets writes go loses none that came after it', async t => {
    const before = await databaseOf('acme')
    const answers = await writingDuring(() => undoRestore(saasctl, 'acme', { discardWrites: true }, wait), 100_000)
    const written = answers.filter(({ status }) => status === 200).map(({ id }) => id)
    const kept = [...(await idsOf(before, 100_000)), ...(await idsOf(await databaseOf('acme'), 100_000))]
    t.strictSame(
      written.filter(id => !kept.includes(id)),
      []
    )
  })

  await t.test('without its key, or with another’s, a backup says so and nothing changes', async t => {
    await create('lost')
    const { backupId } = await backupTenant(saasctl, 'lost', wait)
    const tenantId = (await findTenant(catalog, 'lost'))?.id ?? ''
    const now = await databaseOf('lost')
    const name = `tenant/${tenantId}`
    const key = await saasctl.keys.read(name)
    await saasctl.keys.destroy(name)
    const refused = async (code: string) => {
      await t.rejects(verifyBackup(saasctl, backupId, wait), { code })
      await t.rejects(restoreTenant(saasctl, 'lost', {}, wait), { code })
      await t.rejects(backupTenant(saasctl, 'lost', wait), { code }, 'nor is another made beside it with a new key')
    }
    await refused('KEY_MISSING')
    await saasctl.keys.add(name, Buffer.from(key.map(byte => byte ^ 1)))
    await refused('KEY_WRONG')
    t.equal(await databaseOf('lost'), now)
    await settle(saasctl)
  })

  await t.test('P20–P23: an evil database gains nothing by anything that is done with it', async t => {
    await create('evil')
    await asTenantOwner(saasctl, 'evil', client =>
      client.query(`
        create table public.sprung (who text, super text);
        create function public.pwn() returns int language plpgsql as $$ begin
          begin execute 'alter role ' || quote_ident(session_user) || ' superuser'; exception when others then null; end;
          begin insert into public.sprung values (session_user, current_setting('is_superuser'));
          exception when others then null; end;
          return 1; end $$;
        create view public.tempting as select public.pwn() as n;
        create table public.rows (id int primary key, n int default public.pwn(), check (public.pwn() > 0));
        create function public.trap() returns trigger language plpgsql as $$ begin perform public.pwn(); return new; end $$;
        create trigger trap before insert on saasctl.pgmigrations for each row execute function public.trap();
        create trigger trap before insert on saasctl.identity for each row execute function public.trap();
        create policy p on public.rows using (public.pwn() > 0);
        create table public."evil\n\\! touch /tmp/pwned\nalter role current_user superuser; --" (id int);
        insert into public.rows (id) values (1); delete from public.sprung`)
    )
    const names = new Set<string>([await databaseOf('evil')])
    const { backupId } = await backupTenant(saasctl, 'evil', wait)
    await verifyBackup(saasctl, backupId, wait)
    await restoreTenant(saasctl, 'evil', {}, wait)
    for (const hold of [true, false]) {
      const as = hold ? 'evil-copied' : 'evil-dumped'
      await cloneTenant(saasctl, 'evil', { as, hold }, wait)
      names.add(await databaseOf(as))
    }
    names.add(await databaseOf('evil'))
    const all = async function* () {
      const tenant = await findTenant(catalog, 'evil')
      if (tenant) yield [tenant]
    }
    await findDrift(saasctl, all(), { ...wait, concurrency: 1, onDrift: () => undefined })
    const query = { file: 'q.sql', sql: 'select * from tempting', selector: {}, concurrency: 1, timeoutMs: 5_000 }
    await queryFleet(saasctl, all(), { ...query, reason: 'a test', maxRows: 10, take: async () => undefined })

    const powers = await asSuperuser(
      plane.server,
      async client =>
        (await client.query(`select rolname from pg_roles where (rolsuper or rolcreaterole) and rolname ~ '^t0'`)).rows
    )
    t.strictSame(powers, [])
    const entered = (await readFile(plane.server.logFile, 'utf8')).match(
      /connection authorized: user=\S+ database=\S+/g
    )
    t.ok(
      (entered ?? []).some(line => names.has(line.split('=').at(-1) ?? '')),
      'the log has who entered'
    )
    const lived = new Set<string>()
    const strangers = (entered ?? []).filter(line => {
      const [, user = '', database = ''] = /user=(\S+) database=(\S+)/.exec(line) ?? []
      const own = /^t0\w+(own|ro|a|b)$/.test(user)
      if (own) lived.add(database)
      return names.has(database) && lived.has(database) && !own
    })
    t.strictSame(strangers, [], 'nobody but the tenant’s own logins was ever in a database with something of its in it')
    await settle(saasctl)
  })

  await t.test('after all of it, catalog and server agree', async t => {
    // The audit enters as the application, whose connections the router has all of.
    await app.close()
    // The evil ones have another schema than the rest, and are as many.
    const told = (await fleetAudit(plane)).filter(sentence => !/differs from others at 0002_grown/.test(sentence))
    t.strictSame(told, [])
  })
}
