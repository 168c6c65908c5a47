import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { databaseById } from '../../src/catalog/databases.js'
import { loginsOf } from '../../src/catalog/logins.js'
import { listServers } from '../../src/catalog/servers.js'
import { findTenant, listTenants, quarantineSlug, renameTenant as writeSlug } from '../../src/catalog/tenants.js'
import type { SaasctlError } from '../../src/errors.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { createTenant, type NewTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { tenantDsn, tenantShell } from '../../src/tenants/enter.js'
import { migrateTenant } from '../../src/tenants/migrate.js'
import { purgeDue, purgeTenant } from '../../src/tenants/purge.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { updateTenant } from '../../src/tenants/update.js'
import { controlPlane } from '../support/control-plane.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const templateJson = join(template.env.SAASCTL_TEMPLATES, 'tiny', 'template.json')
  const definition = JSON.parse(await readFile(templateJson, 'utf8'))
  await writeFile(templateJson, JSON.stringify({ ...definition, labels: { product: 'notes', tier: 'plain' } }))
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const noWait = { wait: false }
  const create = (slug: string, more: Partial<NewTenant> = {}, how = wait) =>
    createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, how)
  const warm = () => buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait)
  const status = async (slugOrId: string) => (await findTenant(catalog, slugOrId))?.status
  const actions = async (id: string) =>
    (
      await catalog.query<{ action: string }>(`select action from saasctl.audit_event where chain = $1 order by seq`, [
        `tenant:${id}`
      ])
    ).map(({ action }) => action)

  /** Logs in as the application does, and runs one statement. */
  async function asTenant<Row extends object>(dsn: string, sql: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: dsn })
    await client.connect()
    try {
      return (await client.query<Row>(sql)).rows
    } finally {
      await client.end()
    }
  }

  t.test('a tenant made from nothing is active, in a database of its own that is what the template says', async t => {
    const { tenant, operation } = await create('acme', { displayName: 'Acme GmbH' })
    t.match(tenant, {
      slug: 'acme',
      status: 'active',
      plan: 'small',
      template: 'tiny',
      server: 'main',
      displayName: 'Acme GmbH'
    })
    t.equal(operation.status, 'succeeded')
    const dsn = await tenantDsn(saasctl, 'acme', { readOnly: false, reveal: true })
    t.strictSame(await asTenant(dsn, 'select id, body from notes'), [{ id: 1, body: 'seed' }])
    t.strictSame(await asTenant(dsn, `insert into notes values (2, 'mine') returning id`), [{ id: 2 }])
    t.strictSame(await asTenant(dsn, 'select current_database() as name'), [{ name: tenant.database }])
    t.match(tenant.database, /^t[0-9a-z]{26}$/, 'no server learns the customer’s name')
    t.equal(tenant.migration, '0002_grown')
    t.strictSame(await actions(tenant.id), ['tenant.create', 'tenant.activate', 'tenant.dsn.reveal'])
  })

  t.test('a tenant claims a warm database, which holds nothing of another', async t => {
    await warm()
    const { tenant, operation } = await create('globex')
    t.equal(operation.kind, 'tenant.create')
    const steps = await catalog.query('select from saasctl.operation_step where operation_id = $1', [operation.id])
    t.equal(steps.length, 0, 'one catalog transaction, and nothing to do on a server')
    const dsn = await tenantDsn(saasctl, 'globex', { readOnly: false, reveal: true })
    t.strictSame(await asTenant(dsn, 'select id from notes'), [{ id: 1 }])
    t.not(tenant.database, (await findTenant(catalog, 'acme'))?.database)
    const acme = new URL(await tenantDsn(saasctl, 'acme', { readOnly: false, reveal: true }))
    acme.pathname = `/${tenant.database}`
    await t.rejects(asTenant(acme.href, 'select 1'), { code: '28000' }, 'a neighbour is refused at the door')
  })

  t.test('a tenant has the template’s labels, and its own above them', async t => {
    const { tenant } = await create('labelled', { labels: { tier: 'gold', country: 'ch' } })
    t.strictSame(tenant.labels, { product: 'notes', tier: 'gold', country: 'ch' })
    const found = await listTenants(catalog, { labels: { product: 'notes', country: 'ch' } }, { limit: 10 })
    t.strictSame(
      found.map(({ slug }) => slug),
      ['labelled']
    )
  })

  t.test('the connection string hides the password until it is asked for, and asking is audited', async t => {
    const { id } = (await create('dsn')).tenant
    const hidden = new URL(await tenantDsn(saasctl, 'dsn', { readOnly: false, reveal: false }))
    t.equal(hidden.password, '')
    t.match(hidden.username, /^t[0-9a-z]{26}a$/)
    t.notOk((await actions(id)).includes('tenant.dsn.reveal'), 'a look without the password is none')
    const shown = new URL(await tenantDsn(saasctl, 'dsn', { readOnly: false, reveal: true, reason: 'ticket 7' }))
    t.equal(shown.password.length, 43)
    const readOnly = await tenantDsn(saasctl, 'dsn', { readOnly: true, reveal: true })
    t.match(new URL(readOnly).username, /ro$/)
    t.strictSame(await asTenant(readOnly, 'select id from notes'), [{ id: 1 }])
    await t.rejects(asTenant(readOnly, `insert into notes values (3, 'x')`), { code: /25006|42501/ })
    const payloads = await catalog.query<{ payload: string }>(
      `select p.payload from saasctl.audit_event e join saasctl.audit_payload p using (chain, seq)
       where e.chain = $1 and e.action = 'tenant.dsn.reveal' order by e.seq`,
      [`tenant:${id}`]
    )
    t.strictSame(
      payloads.map(({ payload }) => JSON.parse(payload)),
      [{ login: hidden.username, reason: 'ticket 7' }, { login: new URL(readOnly).username }]
    )
    const shell = await tenantShell(saasctl, 'dsn', { write: false })
    t.notOk(shell.args.join(' ').includes(new URL(readOnly).password), 'a shell gets no password in its arguments')
  })

  t.test('the same key finds the same tenant, however often and however fast it is sent', async t => {
    const wish = { plan: 'large', labels: { a: 'b' }, idempotencyKey: 'key-1' }
    const all = await Promise.all(Array.from({ length: 8 }, () => create('once', wish)))
    t.equal(new Set(all.map(({ tenant }) => tenant.id)).size, 1)
    t.equal(new Set(all.map(({ operation }) => operation.id)).size, 1)
    t.ok(all.every(({ tenant }) => tenant.status === 'active'))
    await t.rejects(create('other', wish), { code: 'IDEMPOTENCY_MISMATCH' })
    await t.rejects(create('once', { ...wish, plan: 'small' }), { code: 'IDEMPOTENCY_MISMATCH' })
    await t.rejects(create('once', { ...wish, idempotencyKey: 'key-2' }), { code: 'TENANT_EXISTS' })
  })

  t.test('a creation that fails leaves nothing, fails again for the same key, and frees the slug at once', async t => {
    const broken = join(template.env.SAASCTL_TEMPLATES, 'broken')
    await cp(join(template.env.SAASCTL_TEMPLATES, 'tiny'), broken, { recursive: true })
    await writeFile(join(broken, 'seed.postgres.sql'), 'insert into nowhere values (1);\n')
    const names = `select datname as name from pg_database union all select rolname from pg_roles order by 1`
    const onServer = async () => (await asSuperuser(plane.server, client => client.query(names))).rows
    const [before, [server]] = [await onServer(), await listServers(catalog)]
    const wish = { template: 'broken', idempotencyKey: 'broken' }
    const why = { code: 'MIGRATION_FAILED', message: /nowhere/ }
    await t.rejects(create('unlucky', wish), why)
    await t.rejects(create('unlucky', wish), why)
    t.strictSame(await onServer(), before, 'no database and no login is left of it')
    t.equal((await listServers(catalog))[0]?.databases, server?.databases, 'nor the places it would have taken')
    const rows = await catalog.query(`select status from saasctl.tenant where slug = 'unlucky'`)
    t.strictSame(rows, [{ status: 'failed' }])
    await writeFile(join(broken, 'seed.postgres.sql'), `insert into notes values (9, 'mended');\n`)
    const { tenant } = await create('unlucky', { ...wish, idempotencyKey: 'mended' })
    t.equal(tenant.status, 'active')
    await rm(broken, { recursive: true })
  })

  t.test('a slug is one tenant’s, also when two ask at the same moment', async t => {
    const all = await Promise.allSettled(Array.from({ length: 4 }, () => create('popular')))
    t.equal(all.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of all) if (one.status === 'rejected') t.equal((one.reason as SaasctlError).code, 'TENANT_EXISTS')
    const rows = await catalog.query(`select status from saasctl.tenant where slug = 'popular'`)
    t.strictSame(rows, [{ status: 'active' }], 'the others left nothing')
  })

  t.test('what PostgreSQL cannot store is refused as what it is', async t => {
    for (const more of [{ displayName: 'a\u0000b' }, { labels: { a: '\u0000' } }, { region: '\u0000' }]) {
      await t.rejects(create('strange', more), { code: 'INVALID_INPUT' }, JSON.stringify(more))
    }
    await t.rejects(deleteTenant(saasctl, 'a\u0000b', wait), { code: 'INVALID_INPUT' })
    t.equal(await status('strange'), undefined)
  })

  t.test('a rename changes the catalog alone; the old slug is kept back for its last holder', async t => {
    const { tenant } = await create('before')
    const dsn = await tenantDsn(saasctl, 'before', { readOnly: false, reveal: true })
    const renamed = await renameTenant(saasctl, 'before', 'after')
    t.match(renamed, { id: tenant.id, slug: 'after', database: tenant.database })
    t.equal(
      await tenantDsn(saasctl, 'after', { readOnly: false, reveal: true }),
      dsn,
      'the application notices nothing'
    )
    t.equal(await status('before'), undefined)
    await t.rejects(create('before'), { code: 'SLUG_QUARANTINED', message: /kept back until \d{4}-/ })
    await create('bystander')
    await t.rejects(renameTenant(saasctl, 'bystander', 'before'), { code: 'SLUG_QUARANTINED' })
    await t.rejects(renameTenant(saasctl, 'bystander', 'after'), { code: 'TENANT_EXISTS' })
    t.equal((await renameTenant(saasctl, 'after', 'before')).slug, 'before', 'and may have it again at once')
    await t.rejects(create('after'), { code: 'SLUG_QUARANTINED' })
    await catalog.query(`update saasctl.slug_quarantine set until = now() where slug = 'after'`)
    t.equal((await create('after')).tenant.slug, 'after', 'when its time is over it is anybody’s')
    t.equal((await renameTenant(saasctl, 'before', 'before')).slug, 'before')
    for (const bad of ['Before', 'admin', 'a', `x'; --`]) {
      await t.rejects(renameTenant(saasctl, 'before', bad), { code: 'INVALID_SLUG' })
    }
    await t.rejects(renameTenant(saasctl, 'nobody', 'somebody'), {
      code: 'TENANT_NOT_FOUND',
      message: 'There is no tenant "nobody".'
    })
  })

  t.test('whoever waits for a slug while it is being freed does not get past its quarantine', async t => {
    const { tenant } = await create('leaving')
    await create('waiting')
    const waiters: Array<Promise<unknown>> = []
    await catalog.transaction(saasctl.actor, async tx => {
      await writeSlug(tx, tenant.id, 'left')
      waiters.push(create('leaving'), renameTenant(saasctl, 'waiting', 'leaving'))
      for (const waiter of waiters) waiter.catch(() => {})
      await blocked(2)
      await quarantineSlug(tx, 'leaving', tenant.id, 60)
    })
    for (const waiter of waiters) await t.rejects(waiter, { code: 'SLUG_QUARANTINED' })
    t.equal(await status('leaving'), undefined)
  })

  /** Waits until so many sessions wait for somebody's lock. */
  async function blocked(count: number): Promise<void> {
    for (;;) {
      const rows = await plane.catalogAsSuperuser(client =>
        client.query(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)
      )
      if ((rows.rowCount ?? 0) >= count) return
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  t.test('a deleted tenant is locked out, and comes back with everything as long as its grace lasts', async t => {
    await create('phoenix')
    const dsn = await tenantDsn(saasctl, 'phoenix', { readOnly: false, reveal: true })
    const readOnly = await tenantDsn(saasctl, 'phoenix', { readOnly: true, reveal: true })
    await asTenant(dsn, `insert into notes values (7, 'kept')`)
    const client = new pg.Client({ connectionString: dsn })
    client.on('error', () => {})
    await client.connect()
    const { tenant } = await deleteTenant(saasctl, 'phoenix', { ...wait, graceSeconds: 3600 })
    t.equal(tenant.status, 'deleted')
    t.ok(
      tenant.purgeAt &&
        tenant.deletedAt &&
        Math.abs(tenant.purgeAt.getTime() - tenant.deletedAt.getTime() - 3_600_000) < 1000
    )
    await t.rejects(client.query('select 1'), 'its sessions are ended')
    await client.end().catch(() => {})
    for (const url of [dsn, readOnly]) await t.rejects(asTenant(url, 'select 1'), { code: '28000' })
    await t.rejects(create('phoenix'), { code: 'TENANT_EXISTS' }, 'its slug waits for it')
    t.equal(await purgeDue(saasctl), 0, 'nothing is purged before its time')
    t.equal((await undeleteTenant(saasctl, 'phoenix', wait)).tenant.status, 'active')
    t.match(await findTenant(catalog, 'phoenix'), { deletedAt: null, purgeAt: null })
    t.strictSame(
      await asTenant(dsn, 'select body from notes where id = 7'),
      [{ body: 'kept' }],
      'the same password, too'
    )
    t.strictSame(await asTenant(readOnly, 'select body from notes where id = 7'), [{ body: 'kept' }])
    await migrateTenant(saasctl, 'phoenix', { direction: 'down', to: null }, wait)
  })

  t.test('one that was suspended when it was deleted comes back suspended', async t => {
    await create('sleeper')
    const dsn = await tenantDsn(saasctl, 'sleeper', { readOnly: false, reveal: true })
    const readOnly = await tenantDsn(saasctl, 'sleeper', { readOnly: true, reveal: true })
    await suspendTenant(saasctl, 'sleeper', wait)
    await deleteTenant(saasctl, 'sleeper', wait)
    t.equal((await undeleteTenant(saasctl, 'sleeper', wait)).tenant.status, 'suspended')
    await t.rejects(asTenant(dsn, 'select 1'), { code: '28000' })
    t.strictSame(
      await asTenant(readOnly, 'select id from notes'),
      [{ id: 1 }],
      'its data can be looked at and exported'
    )
    t.equal((await resumeTenant(saasctl, 'sleeper', wait)).tenant.status, 'active')
    t.strictSame(await asTenant(dsn, 'select id from notes'), [{ id: 1 }])
  })

  t.test('a purged tenant leaves nothing on the server, no password in the catalog, and its row as proof', async t => {
    const { tenant } = await create('mortal')
    const places = (await listServers(catalog))[0]?.databases ?? 0
    t.equal((await purgeTenant(saasctl, 'mortal', { ...wait, reason: 'asked for' })).tenant.status, 'purged')
    const left = await asSuperuser(plane.server, async client => {
      const name = tenant.database ?? ''
      const found = await client.query(
        'select datname from pg_database where datname = $1 union all select rolname from pg_roles where starts_with(rolname, $1)',
        [name]
      )
      return found.rows
    })
    t.strictSame(left, [])
    t.strictSame(await loginsOf(catalog, tenant.databaseId ?? ''), [])
    t.equal((await databaseById(catalog, tenant.databaseId ?? ''))?.state, 'dropped')
    t.equal((await listServers(catalog))[0]?.databases, places - 1, 'its place is free')
    t.equal(await status('mortal'), undefined)
    t.equal(await status(tenant.id), 'purged')
    await t.rejects(create('mortal'), { code: 'SLUG_QUARANTINED' })
    const told = await actions(tenant.id)
    t.strictSame(told.slice(-3), ['tenant.purge', 'tenant.backed-up', 'tenant.purged'])
    await t.rejects(purgeTenant(saasctl, tenant.id, wait), { code: 'TENANT_STATE' })
  })

  t.test('when the grace is over, every tenant that can be purged is, whatever holds another', async t => {
    const ids: string[] = []
    for (const slug of ['due-one', 'due-two', 'due-three']) {
      ids.push((await create(slug)).tenant.id)
      await deleteTenant(saasctl, slug, { ...wait, graceSeconds: 0 })
    }
    const [held = '', ...free] = ids
    await catalog.query(
      `insert into saasctl.operation (id, kind, subject, tenant_id, exclusion, input, input_version, actor, status, next_at)
       values ($1, 'tenant.suspend', $2, $3, 'shared', '{}', 1, '{}', 'waiting', now() + interval '1 h')`,
      ['00000000-0000-7000-8000-000000000001', `tenant:${held}`, held]
    )
    t.equal(await purgeDue(saasctl), 2)
    await catalog.query(`delete from saasctl.operation where id = '00000000-0000-7000-8000-000000000001'`)
    await settle(saasctl)
    for (const id of free) t.equal(await status(id), 'purged')
    t.equal(await status(held), 'deleted')
    t.equal(await purgeDue(saasctl), 1, 'and the held one when it is let go')
    await settle(saasctl)
    t.equal(await status(held), 'purged')
  })

  t.test('in each state a tenant allows what makes sense, and refuses the rest in one sentence', async t => {
    const verbs: Record<string, (slug: string) => Promise<unknown>> = {
      rename: slug => renameTenant(saasctl, slug, 'renamed'),
      suspend: slug => suspendTenant(saasctl, slug, noWait),
      resume: slug => resumeTenant(saasctl, slug, noWait),
      delete: slug => deleteTenant(saasctl, slug, noWait),
      undelete: slug => undeleteTenant(saasctl, slug, noWait),
      purge: slug => purgeTenant(saasctl, slug, noWait),
      update: slug => updateTenant(saasctl, slug, { labels: { a: 'b' } }, noWait),
      migrate: slug => migrateTenant(saasctl, slug, { direction: 'up', to: null }, noWait)
    }
    const { tenant: failed } = await create('failing', {}, noWait)
    await catalog.query(`update saasctl.operation set cancel_requested = true where tenant_id = $1`, [failed.id])
    await settle(saasctl)
    t.equal(await status(failed.id), 'failed')
    const { tenant: purged } = await create('gone')
    await purgeTenant(saasctl, 'gone', wait)
    await create('alive')
    await create('asleep')
    await suspendTenant(saasctl, 'asleep', wait)
    await create('buried')
    await deleteTenant(saasctl, 'buried', wait)
    await create('dying')
    await purgeTenant(saasctl, 'dying', noWait)
    await create('unborn', {}, noWait)
    const refused: Record<string, string[]> = {
      unborn: Object.keys(verbs),
      alive: ['undelete'],
      asleep: ['undelete'],
      buried: ['rename', 'suspend', 'resume', 'delete', 'update', 'migrate'],
      dying: ['rename', 'suspend', 'resume', 'delete', 'undelete', 'update', 'migrate'],
      [failed.id]: Object.keys(verbs),
      [purged.id]: Object.keys(verbs)
    }
    for (const [slug, names] of Object.entries(refused)) {
      for (const name of names) {
        const error = await verbs[name]?.(slug).then(
          () => undefined,
          (thrown: unknown) => thrown as SaasctlError
        )
        t.equal(error?.code, 'TENANT_STATE', `${name} of one that is ${await status(slug)}`)
        t.match(error?.message, /^Tenant [a-z-]+ (is \w+ and cannot be [a-z ]+|has no database; it is \w+)\.$/)
      }
    }
    await settle(saasctl)
  })

  t.test('while an operation holds a tenant, another is refused by its name', async t => {
    await create('busy')
    const { operation } = await deleteTenant(saasctl, 'busy', noWait)
    for (const verb of [() => undeleteTenant(saasctl, 'busy', noWait), () => purgeTenant(saasctl, 'busy', noWait)]) {
      await t.rejects(verb(), {
        code: 'TENANT_BUSY',
        exit: 6,
        operationId: operation.id,
        message: 'tenant.delete is at work on this tenant.'
      })
    }
    await saasctl.operations.follow(operation)
    t.equal((await undeleteTenant(saasctl, 'busy', wait)).tenant.status, 'active')
    const { operation: resuming } = await resumeTenant(saasctl, 'busy', noWait)
    await t.rejects(updateTenant(saasctl, 'busy', { plan: 'large' }, noWait), { code: 'TENANT_BUSY' })
    await t.rejects(migrateTenant(saasctl, 'busy', { direction: 'up', to: null }, noWait), { code: 'TENANT_BUSY' })
    t.equal((await findTenant(catalog, 'busy'))?.plan, 'small', 'and nothing of it is written')
    await saasctl.operations.follow(resuming)
  })

  t.test('what is not there is not found, by slug or id', async (t: Test) => {
    for (const name of ['nobody', '00000000-0000-7000-8000-000000000000', '', `' or true --`]) {
      await t.rejects(suspendTenant(saasctl, name, wait), { code: 'TENANT_NOT_FOUND', exit: 5 })
    }
    await t.rejects(create('lost', { plan: 'gigantic' }), {
      code: 'PLAN_NOT_FOUND',
      hint: 'The plans are: small, large.'
    })
    await t.rejects(create('lost', { template: 'fancy' }), {
      code: 'TEMPLATE_NOT_FOUND',
      hint: 'The templates are: tiny.'
    })
    await t.rejects(create('lost', { server: 'elsewhere' }), {
      code: 'SERVER_NOT_FOUND',
      hint: 'The servers are: main.'
    })
    t.equal(await status('lost'), undefined)
  })
}
