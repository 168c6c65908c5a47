import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { approvable } from '../../src/approvable.js'
import { rotateKey } from '../../src/audit/keys.js'
import { backupTenant } from '../../src/backups/backup.js'
import { askForFleet } from '../../src/backups/fleet.js'
import { holdBackup, releaseBackup } from '../../src/backups/hold.js'
import { pruneBackups } from '../../src/backups/prune.js'
import { verifyBackup } from '../../src/backups/verify.js'
import { canonical, type Json } from '../../src/canonical.js'
import { adoptCatalog } from '../../src/catalog/adopt.js'
import { Catalog } from '../../src/catalog/catalog.js'
import { listOperators } from '../../src/catalog/operators.js'
import type { SaasctlError } from '../../src/errors.js'
import { backupKeys } from '../../src/keys/keys.js'
import { cancelOperation } from '../../src/operations/inspect.js'
import { approve, reject } from '../../src/operators/approvals.js'
import { createOperator, renewToken, revokeOperator } from '../../src/operators/operators.js'
import { Secret } from '../../src/secret.js'
import { addServer } from '../../src/servers/add.js'
import { cordonServer, removeServer, uncordonServer, updateServer } from '../../src/servers/change.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { dropTemplate } from '../../src/templates/drop-template.js'
import { applyPlans } from '../../src/templates/plans.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { tenantDsn, tenantShell } from '../../src/tenants/enter.js'
import { mustFind } from '../../src/tenants/find.js'
import { askHold, askRelease } from '../../src/tenants/hold.js'
import { migrateTenant } from '../../src/tenants/migrate.js'
import { purgeDue, purgeTenant } from '../../src/tenants/purge.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { updateTenant } from '../../src/tenants/update.js'
import { type ControlPlane, controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { asOperator, eraseAsTwo } from '../support/operators.js'
import { proxyTo, through } from '../support/proxy.js'
import { controlLogin, skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

const tester = { name: 'tester', proof: 'asserted' } as const

interface Event {
  chain: string
  seq: number
  at: Date
  action: string
  body: string
  hash: string
  salt: Buffer | null
  payload: string | null
}

async function events(plane: ControlPlane, chain?: string): Promise<Event[]> {
  return plane.saasctl.catalog.query<Event>(
    `select e.chain, e.seq::int, e.at, e.action, e.body, e.hash, p.salt, p.payload
     from saasctl.audit_event e left join saasctl.audit_payload p using (chain, seq)
     where $1::text is null or e.chain = $1 order by e.chain, e.seq`,
    [chain ?? null]
  )
}

const sha256 = (...parts: Array<string | Buffer>) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')

/** What is wrong with chains, recomputed from nothing but the rows: an independent reading of DESIGN §11. */
function faults(rows: Event[]): string[] {
  const found: string[] = []
  const heads = new Map<string, { seq: number; hash: string; at: Date }>()
  for (const row of rows) {
    const head = heads.get(row.chain) ?? { seq: 0, hash: '0'.repeat(64), at: new Date(0) }
    const where = `${row.chain}#${row.seq}`
    const said = JSON.parse(row.body) as Record<string, Json>
    const { actor, subject, payload } = said as { actor: Record<string, Json>; subject: string; payload: string }
    const body = canonical({
      v: 1,
      chain: row.chain,
      seq: row.seq,
      at: row.at.toISOString(),
      actor: { login: actor['login'], name: actor['name'], proof: actor['proof'] },
      action: row.action,
      subject,
      payload,
      prev: head.hash
    })
    if (row.seq !== head.seq + 1) found.push(`${where}: gap`)
    if (row.at < head.at) found.push(`${where}: time`)
    if (row.body !== body) found.push(`${where}: body`)
    if (row.hash !== sha256(row.body)) found.push(`${where}: hash`)
    if (row.salt && row.payload !== null && sha256(row.salt, row.payload) !== payload) found.push(`${where}: payload`)
    heads.set(row.chain, { seq: row.seq, hash: row.hash, at: row.at })
  }
  return found
}

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ addServer: false, env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const defaults = { template: 'tiny' }
  const control = await controlLogin(plane.server)
  const serverWish = (name: string) => ({
    name,
    engine: 'postgres' as const,
    host: plane.server.host,
    port: plane.server.port,
    login: control.login,
    password: new Secret(control.password)
  })

  const text = fc
    .string({ unit: 'binary', maxLength: 20 })
    .map(one => Buffer.from(one.replaceAll('\u0000', ' ')).toString())
    .map(one => `${one}"\\/\b\f\n\r\t\u0001\u001f\u007f\u0085\u2028\u2029\ufeff<&>😀é`)

  t.test('the bytes that were hashed are canonical JSON, whatever stands in an event', async t => {
    let chains = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ action: text, subject: text, payload: fc.jsonValue({ stringUnit: 'binary' }) }), {
          minLength: 1,
          maxLength: 4
        }),
        text,
        async (wanted, name) => {
          chains += 1
          const chain = `strange ${chains} ${name}`
          await catalog.transaction({ name, proof: 'proven' }, async tx => {
            for (const event of wanted)
              tx.audit({ ...event, chain, payload: JSON.parse(JSON.stringify(event.payload)) })
          })
          const written = await events(plane, chain)
          t.strictSame(
            written.map(({ action, body, payload }) => ({
              action,
              subject: JSON.parse(body).subject,
              payload: JSON.parse(payload ?? '')
            })),
            wanted.map(event => ({ ...event, payload: JSON.parse(JSON.stringify(event.payload)) }))
          )
          t.match(JSON.parse(written[0]?.body ?? '{}'), {
            actor: { name, proof: 'proven', login: /^saasctl_control_/ }
          })
          t.strictSame(faults(written), [])
        }
      ),
      { numRuns: 25 }
    )
  })

  const append = (chain: string, count = 1) =>
    catalog.transaction(tester, async tx => {
      for (let index = 0; index < count; index += 1)
        tx.audit({ chain, action: 'test', subject: 'test', payload: { index } })
    })

  t.test('nothing that a caller puts in front of the catalog’s own names is run by the trail', async t => {
    await plane.catalogAsSuperuser(async client => {
      await client.query(`create schema impostor; grant usage on schema impostor to saasctl_control, saasctl_audit;
        create domain impostor.text as pg_catalog.text check (false); create domain impostor.bytea as pg_catalog.bytea check (false);
        create domain impostor.timestamptz as pg_catalog.timestamptz check (false);
        create table impostor.audit_chain (like saasctl.audit_chain); create table impostor.audit_event (like saasctl.audit_event)`)
      const { rows } = await client.query<{ name: string; args: string; returns: string }>(
        `select p.proname as name, coalesce((select string_agg(a.type::regtype::text, ', ' order by a.place)
             from unnest(p.proargtypes) with ordinality a (type, place)), '') as args, p.prorettype::regtype::text as returns
         from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not exists (
             select from unnest(p.proargtypes) a (oid) join pg_type t using (oid) where t.typtype = 'p')
           and p.proname in (select m[1] from pg_proc f, regexp_matches(f.prosrc, '(\\w+)\\(', 'g') m
             where f.oid = 'saasctl.audit_append'::regproc)
         union all select 'to_json', 'text', 'json' union all select 'to_json', 'name', 'json'
         union all select 'format', 'text, json, json, json, text, text, json, text, text, bigint, json', 'text'`
      )
      t.ok(rows.length > 20, `${rows.length} functions`)
      const raise = `language plpgsql as $$ begin raise exception 'an impostor ran as %', current_user; end $$`
      for (const { name, args, returns } of rows)
        await client.query(`create function impostor."${name}"(${args}) returns ${returns} ${raise}`)
      await client.query(`create function impostor.act(text, text) returns boolean ${raise};
        create function impostor.act(bigint, integer) returns bigint ${raise};
        create operator impostor.= (function = impostor.act, leftarg = text, rightarg = text);
        create operator impostor.<> (function = impostor.act, leftarg = text, rightarg = text);
        create operator impostor.+ (function = impostor.act, leftarg = bigint, rightarg = integer)`)
    })
    const before = (await events(plane, 'impostor')).length
    for (let round = 0; round < 2; round += 1) {
      await catalog.transaction(tester, async tx => {
        await tx.query('set local search_path = impostor, pg_temp, pg_catalog')
        const event = ['impostor', 'me', 'asserted', 'test', `${round}`, '{}']
        await tx.query('select saasctl.audit_append($1, $2, $3, $4, $5, $6)', event)
      })
    }
    t.equal((await events(plane, 'impostor')).length, before + 2)
    t.strictSame(faults(await events(plane, 'impostor')), [])
    await plane.catalogAsSuperuser(client => client.query('drop schema impostor cascade'))
  })

  t.test('an edited, removed or reordered event shows; an erased payload leaves the chain whole', async t => {
    await append('tampered', 6)
    const whole = await events(plane, 'tampered')
    t.strictSame(faults(whole), [])
    await plane.catalogAsSuperuser(client =>
      client.query(`delete from saasctl.audit_payload where chain = 'tampered' and seq = 3`)
    )
    const erased = await events(plane, 'tampered')
    t.strictSame(faults(erased), [], 'without the payload')
    t.equal(erased[2]?.payload, null)
    const [one, two, three, ...rest] = whole as [Event, Event, Event, ...Event[]]
    t.not(faults([one, { ...two, payload: '{"index":9}' }, three, ...rest]).length, 0, 'another payload')
    t.not(faults([one, { ...two, body: two.body.replace('test', 'tset') }, three, ...rest]).length, 0, 'another body')
    t.not(faults([one, three, ...rest]).length, 0, 'one removed')
    t.not(faults([one, three, two, ...rest]).length, 0, 'two changed about')
    const forged = two.body.replace('test', 'tset')
    t.not(
      faults([one, { ...two, body: forged, action: 'tset', hash: sha256(forged) }, three, ...rest]).length,
      0,
      'one hashed anew'
    )
  })

  t.test('many at once leave no gap in a chain and never wait for each other in a circle', async t => {
    const names = ['round a', 'round b', 'round c', 'round d']
    const all = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) =>
        catalog.transaction(tester, async tx => {
          const order = index % 2 === 0 ? names : names.toReversed()
          for (const chain of order) tx.audit({ chain, action: 'test', subject: `${index}`, payload: {} })
          if (index % 5 === 0) throw new Error('changed my mind')
        })
      )
    )
    t.equal(all.filter(({ status }) => status === 'fulfilled').length, 32)
    for (const chain of names) {
      const written = await events(plane, chain)
      t.equal(written.length, 32, 'what was rolled back left nothing')
      t.strictSame(faults(written), [])
    }
    const [head] = await catalog.query(`select seq::int, hash from saasctl.audit_chain where chain = 'round a'`)
    const last = (await events(plane, 'round a')).at(-1)
    t.strictSame(head, { seq: 32, hash: last?.hash })
  })

  t.test('a clock that goes back does not turn the order of events around', async t => {
    await append('clock')
    await plane.catalogAsSuperuser(client =>
      client.query(
        `update saasctl.audit_chain set at = date_trunc('milliseconds', now() + interval '1 h') where chain = 'clock'`
      )
    )
    await append('clock', 2)
    const written = await events(plane, 'clock')
    t.strictSame(faults(written), [])
    t.equal(written[1]?.at.getTime(), written[2]?.at.getTime())
  })

  t.test('what a transaction swallowed is not reported as done', async t => {
    await t.rejects(
      catalog.transaction(tester, async tx => {
        tx.audit({ chain: 'swallowed', action: 'test', subject: 'test', payload: {} })
        await tx.query('select 1/0').catch(() => {})
      }),
      { code: 'FAILED' }
    )
    t.strictSame(await events(plane, 'swallowed'), [])
    const aborted = catalog.transaction(tester, async tx => void (await tx.query('select 1/0').catch(() => {})))
    await t.rejects(aborted, { code: 'FAILED', message: /rolled back/ }, 'also without an event')
  })

  t.test('a catalog that goes away within a transaction is an error, not the end of the process', async t => {
    await t.rejects(
      catalog.transaction(tester, async tx => {
        const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
        await plane.catalogAsSuperuser(client => client.query('select pg_terminate_backend($1)', [row?.pid]))
        await new Promise(resolve => setTimeout(resolve, 30))
        await tx.query('select 1')
      }),
      { code: 'CATALOG_UNREACHABLE', retryable: true }
    )
    t.strictSame(await catalog.query('select 1 as one'), [{ one: 1 }], 'and the next one gets another connection')
  })

  t.test('what fails at a file while the catalog is read is not said of the catalog', async t => {
    const full = Object.assign(new Error('ENOENT: a folder was removed meanwhile'), { code: 'ENOENT' })
    await t.rejects(
      catalog.snapshot(async () => {
        throw full
      }),
      full
    )
    const wrong = catalog.snapshot(snapshot => snapshot.query('select from nowhere'))
    await t.rejects(wrong, { code: 'CATALOG_UNMIGRATED' })
  })

  t.test('when the answer to a commit is lost, the error says that the change may be there', async t => {
    const proxy = await proxyTo(plane.server)
    t.teardown(() => proxy.close())
    const behind = new Catalog(through(proxy, plane.env['SAASCTL_CATALOG_URL'] ?? ''))
    t.teardown(() => behind.close())
    const change = (chain: string) =>
      behind.transaction(tester, async tx => tx.audit({ chain, action: 'test', subject: 'test', payload: {} }))
    const told = { code: 'CATALOG_UNREACHABLE', message: /it may be there or not/ }
    proxy.lose('answer', 'commit')
    await t.rejects(change('lost after'), told)
    proxy.lose('question', 'commit')
    await t.rejects(change('lost before'), told)
    t.equal((await events(plane, 'lost after')).length, 1)
    t.equal((await events(plane, 'lost before')).length, 0)
    await change('not lost')
    t.equal((await events(plane, 'not lost')).length, 1)
  })

  t.test('no change without its event: each use-case writes both in one transaction, or neither', async t => {
    const change = (verb: () => Promise<unknown>, ...expected: string[]) => ({ verb, expected })
    let drop = ''
    let backup = ''
    let request = ''
    const [ada, grace] = [await asOperator(saasctl, 'ada'), await asOperator(saasctl, 'grace')]
    const cases: Record<string, { verb: () => Promise<unknown>; expected: string[] }> = {
      'server add': change(() => addServer(saasctl, serverWish('main')), 'server.add'),
      'another server': change(() => addServer(saasctl, serverWish('other')), 'server.add'),
      'server update': change(
        () => updateServer(saasctl, 'other', { capacity: 5, password: new Secret(control.password) }),
        'server.update'
      ),
      'server cordon': change(() => cordonServer(saasctl, 'other'), 'server.cordon'),
      'server uncordon': change(() => uncordonServer(saasctl, 'other'), 'server.uncordon'),
      'server remove': change(() => removeServer(saasctl, 'other'), 'server.remove'),
      'template build with a warm pool': change(
        () => buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait),
        'plan.apply',
        'template.build',
        'template.version',
        'template.warm',
        'warm.create'
      ),
      'tenant create, warm': change(
        () => createTenant(saasctl, { slug: 'alpha' }, defaults, wait),
        'tenant.activate',
        'tenant.create'
      ),
      'tenant create, cold, of a plan that only the file knows': change(
        () => createTenant(saasctl, { slug: 'beta', plan: 'large' }, defaults, wait),
        'plan.apply',
        'tenant.activate',
        'tenant.create'
      ),
      'tenant rename': change(() => renameTenant(saasctl, 'alpha', 'alpha-two'), 'tenant.rename'),
      'tenant update, labels': change(
        () => updateTenant(saasctl, 'beta', { labels: { tier: 'gold' } }, wait),
        'tenant.update'
      ),
      'tenant update, plan': change(() => updateTenant(saasctl, 'beta', { plan: 'small' }, wait), 'tenant.update'),
      'tenant suspend': change(() => suspendTenant(saasctl, 'beta', wait), 'tenant.suspend'),
      'tenant resume': change(() => resumeTenant(saasctl, 'beta', wait), 'tenant.activate', 'tenant.resume'),
      'tenant migrate': change(
        () => migrateTenant(saasctl, 'beta', { direction: 'down', to: null }, wait),
        'tenant.migrate'
      ),
      'tenant dsn --reveal': change(
        () => tenantDsn(saasctl, 'beta', { readOnly: false, reveal: true }),
        'tenant.dsn.reveal'
      ),
      'tenant shell': change(() => tenantShell(saasctl, 'beta', { write: false }), 'tenant.shell'),
      'tenant backup': change(
        async () => {
          backup = (await backupTenant(saasctl, 'beta', wait)).backupId
        },
        'tenant.backed-up',
        'tenant.backup'
      ),
      'backup verify': change(() => verifyBackup(saasctl, backup, wait), 'backup.verified', 'backup.verify'),
      'backup hold': change(() => holdBackup(saasctl, backup, 'litigation'), 'backup.hold'),
      'backup release': change(() => releaseBackup(saasctl, backup), 'backup.release'),
      'backup prune': change(() => pruneBackups(saasctl, undefined, wait), 'backup.prune'),
      'fleet backup': change(async () => {
        const { id: tenantId, slug } = await mustFind(catalog, 'beta')
        await askForFleet(saasctl, [{ tenantId, slug }])
      }, 'fleet.backup'),
      'operator create': change(
        () => createOperator(saasctl, { name: 'eve', role: 'support', lifeSeconds: 60 }),
        'operator.create',
        'operator.token'
      ),
      'operator token': change(
        () => renewToken(saasctl, 'eve', { lifeSeconds: 60, overlapSeconds: 0 }),
        'operator.token'
      ),
      'operator revoke': change(() => revokeOperator(saasctl, 'eve'), 'operator.revoke'),
      'tenant hold': change(async () => {
        request = (await askHold(ada, 'beta', 'litigation')).id
      }, 'approval.ask'),
      'approval approve': change(() => approve(grace, request, approvable, wait), 'approval.approve', 'hold.set'),
      'tenant release': change(async () => {
        request = (await askRelease(ada, 'beta', 'settled')).id
      }, 'approval.ask'),
      'approval reject': change(() => reject(grace, request), 'approval.reject'),
      'tenant release, approved': change(
        async () => {
          await approve(grace, (await askRelease(ada, 'beta', 'settled')).id, approvable, wait)
        },
        'approval.approve',
        'approval.ask',
        'hold.release'
      ),
      'tenant erase': change(
        () => eraseAsTwo(saasctl, 'doomed'),
        'approval.approve',
        'approval.ask',
        'audit.erase',
        'erasure.certificate',
        'tenant.erase',
        'tenant.erased'
      ),
      'audit key --rotate': change(() => rotateKey(saasctl), 'key.rotate'),
      'tenant delete': change(() => deleteTenant(saasctl, 'beta', wait), 'tenant.delete'),
      'tenant undelete': change(() => undeleteTenant(saasctl, 'beta', wait), 'tenant.activate', 'tenant.undelete'),
      'tenant delete --now': change(
        () => purgeTenant(saasctl, 'beta', wait),
        'tenant.backed-up',
        'tenant.purge',
        'tenant.purged'
      ),
      'tenant delete without grace': change(
        () => deleteTenant(saasctl, 'alpha-two', { ...wait, graceSeconds: 0 }),
        'tenant.delete'
      ),
      'the end of the grace': change(async () => {
        t.equal(await purgeDue(saasctl), 1)
      }, 'tenant.purge'),
      'template build of changed files': change(
        async () => {
          await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, wait)
          const [open] = await catalog.query<{ id: string }>(
            `select id from saasctl.operation where kind = 'database.drop' and status = 'queued'`
          )
          drop = open?.id ?? ''
        },
        'template.build',
        'template.version'
      ),
      'template drop': change(() => dropTemplate(saasctl, 'tiny', {}, { wait: false }), 'template.drop'),
      'operation cancel': change(() => cancelOperation(saasctl, drop), 'operation.cancel'),
      'key backup': change(() => backupKeys(saasctl, new Secret('a long enough passphrase')), 'key.backup'),
      'catalog adopt': change(() => adoptCatalog(catalog, tester), 'catalog.adopt')
    }
    const before: Record<string, () => Promise<unknown>> = {
      'tenant erase': () => createTenant(saasctl, { slug: 'doomed' }, defaults, wait),
      'template build of changed files': () => template.grow()
    }
    const function_ = 'saasctl.audit_append(text, text, text, text, text, text)'
    for (const [name, { verb, expected }] of Object.entries(cases)) {
      await before[name]?.()
      await plane.catalogAsSuperuser(client =>
        client.query(`revoke execute on function ${function_} from saasctl_control`)
      )
      // What is to be written beside databases is struck off a moment after the change that it came from.
      await eventually(
        () => catalog.query('select from saasctl.unbound join saasctl.placement using (database_id)'),
        rows => rows.length === 0
      )
      const content = await everything(plane)
      await verb().then(
        () => t.fail(`${name} went without an event`),
        (error: unknown) =>
          t.equal((error as SaasctlError).code, 'CATALOG_DENIED', `${name} is refused without its event`)
      )
      t.strictSame(await everything(plane), content, `${name} changes nothing without its event`)
      await plane.catalogAsSuperuser(client =>
        client.query(`grant execute on function ${function_} to saasctl_control`)
      )
      const seen = (await events(plane)).length
      const earlier = new Set((await events(plane)).map(({ hash }) => hash))
      await verb()
      const now = (await events(plane)).filter(({ hash }) => !earlier.has(hash))
      t.strictSame(now.map(({ action }) => action).sort(), expected, name)
      t.equal((await events(plane)).length, seen + expected.length)
    }
    t.strictSame(faults(await events(plane)), [], 'and every chain is whole')
  })

  t.test('plans that did not change are no event', async t => {
    await applyPlans(saasctl)
    const count = (await events(plane, 'plan')).length
    t.ok(count > 0)
    await applyPlans(saasctl)
    t.equal((await events(plane, 'plan')).length, count)
  })

  t.test('the event carries the number of the transaction that made the change', async t => {
    await createTenant(saasctl, { slug: 'gamma' }, defaults, wait)
    const tenant = await renameTenant(saasctl, 'gamma', 'gamma-two')
    const rows = await plane.catalogAsSuperuser(
      async client =>
        (
          await client.query(
            `select t.xmin = e.xmin as same from saasctl.tenant t join saasctl.audit_event e on e.chain = 'tenant:' || t.id
             where t.id = $1 and e.action = 'tenant.rename'`,
            [tenant.id]
          )
        ).rows
    )
    t.strictSame(rows, [{ same: true }])
  })

  t.test('of the last two admins who revoke each other at once, one stays', async t => {
    const before = (await listOperators(catalog)).filter(({ role, revokedAt }) => role === 'admin' && !revokedAt)
    const last = ['kay', 'lee']
    for (const name of last) await createOperator(saasctl, { name, role: 'admin', lifeSeconds: 600 })
    for (const { name } of before) await revokeOperator(saasctl, name)
    // Both are under way before either can go on.
    const ended = await plane.catalogAsSuperuser(async client => {
      await client.query('begin')
      await client.query('lock table saasctl.operator_token in share mode')
      const both = Promise.allSettled(last.map(name => revokeOperator(saasctl, name)))
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      await eventually(
        async () => (await client.query(waiting)).rowCount,
        count => count === 2
      )
      await client.query('commit')
      return both
    })
    const refused = ended.flatMap(one => (one.status === 'rejected' ? [one.reason.code] : []))
    t.strictSame(refused, ['OPERATOR_STATE'])
  })
}

/** The content of every table but the trail's own, table by table. */
async function everything(plane: ControlPlane): Promise<Record<string, string>> {
  return plane.catalogAsSuperuser(async client => {
    const { rows } = await client.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'saasctl'::regnamespace and relkind = 'r' and relname not like 'audit%'`
    )
    const content: Record<string, string> = {}
    for (const { name } of rows) {
      const found = await client.query<{ row: string }>(`select t::text as row from saasctl."${name}" t order by 1`)
      content[name] = `${found.rowCount} rows: ${sha256(...found.rows.map(({ row }) => row))}`
    }
    return content
  })
}
