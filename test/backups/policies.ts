import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { approvable } from '../../src/approvable.js'
import { backupTenant } from '../../src/backups/backup.js'
import { backupFleet } from '../../src/backups/fleet.js'
import { holdBackup } from '../../src/backups/hold.js'
import { listBackupsOf } from '../../src/backups/list.js'
import { checkPolicies, refuseBroken } from '../../src/backups/policy.js'
import { planPrune, pruneBackups } from '../../src/backups/prune.js'
import { backupsDue } from '../../src/backups/schedule.js'
import { expireExports } from '../../src/exports/expire.js'
import { uuidv7 } from '../../src/names.js'
import { approve, reject } from '../../src/operators/approvals.js'
import { loadPlans } from '../../src/templates/plan-files.js'
import { applyPlans } from '../../src/templates/plans.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { mustFind } from '../../src/tenants/find.js'
import { askHold, askRelease } from '../../src/tenants/hold.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { asOperator } from '../support/operators.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog, actor } = saasctl
  const wait = { wait: true }
  const create = async (slug: string, plan: string) =>
    (await createTenant(saasctl, { slug, plan }, { template: 'tiny' }, wait)).tenant
  const policy = { every: '24h', keep: { daily: 3, weekly: 2, monthly: 2 }, drill: '7d' }
  const plansFile = join(saasctl.config.templates, 'plans.json')
  const writePlans = async (backup: unknown) => {
    const plans = JSON.parse(await readFile(plansFile, 'utf8'))
    plans.large.backup = backup
    await writeFile(plansFile, JSON.stringify(plans))
  }
  const sql = <Row extends object>(text: string, values: unknown[] = []) => catalog.query<Row>(text, values)

  const acme = await create('acme', 'large')
  const globex = await create('globex', 'large')
  const initech = await create('initech', 'small')

  await t.test('a plan may say how its tenants are backed up; what it says wrong is told with its place', async t => {
    await writePlans({ every: 'daily', keep: { daily: 0, weekly: 1 }, drill: 7 })
    await t.rejects(loadPlans(saasctl.config.templates), {
      code: 'CONFIG_INVALID',
      message:
        /large\.backup\.every is "daily", but must be a duration from 5m to 366d.*keep\.daily is 0.*keep\.monthly is missing.*backup\.drill is 7, but must be a duration from 1h to 366d or null/s
    })
    await writePlans(policy)
    const plans = await loadPlans(saasctl.config.templates)
    t.strictSame(
      plans.map(plan => plan.backup),
      [undefined, policy]
    )
    await applyPlans(saasctl)
  })

  await t.test(
    'tenants of a plan with a policy are on the schedule, at a random moment of their first day',
    async t => {
      t.strictSame(await backupsDue(saasctl, 2), { backups: 0, drills: 0, prunes: 0 })
      const rows = await sql<{ tenantId: string; hours: number; days: number }>(
        `select tenant_id as "tenantId", extract(epoch from next_at - now())::float8 / 3600 as hours,
         extract(epoch from drill_at - now())::float8 / 86400 as days from saasctl.backup_schedule order by 1`
      )
      t.strictSame(
        rows.map(row => row.tenantId),
        [acme.id, globex.id]
      )
      for (const { hours, days } of rows) t.ok(hours > -1 && hours <= 24 && days <= 7, `${hours} hours, ${days} days`)
      t.notSame(rows[0]?.hours, rows[1]?.hours)
    }
  )

  await t.test('what is due is begun once, no more at once on a server than it takes', async t => {
    await sql('update saasctl.backup_schedule set next_at = now()')
    t.match(await backupsDue(saasctl, 1), { backups: 1, drills: 0 })
    t.match(await backupsDue(saasctl, 1), { backups: 0 }, 'the server is busy with the first')
    t.match(await backupsDue(saasctl, 2), { backups: 1 })
    await settle(saasctl)
    t.match(await backupsDue(saasctl, 2), { backups: 0 }, 'the next is a day away')
    for (const slug of ['acme', 'globex']) {
      const rows = await listBackupsOf(saasctl, slug, { limit: 10, removed: false })
      t.match(rows, [{ status: 'complete', reason: 'schedule' }])
      t.equal(rows.length, 1)
    }
    t.strictSame(await listBackupsOf(saasctl, 'initech', { limit: 10, removed: false }), [])
  })

  await t.test('a drill restores the newest backup of those that are due and remembers it', async t => {
    await sql('update saasctl.backup_schedule set drill_at = now() where tenant_id = $1', [acme.id])
    t.match(await backupsDue(saasctl, 2), { backups: 0, drills: 1 })
    await settle(saasctl)
    t.match(await listBackupsOf(saasctl, 'acme', { limit: 1, removed: false }), [{ verifiedAt: Date }])
    t.match(await listBackupsOf(saasctl, 'globex', { limit: 1, removed: false }), [{ verifiedAt: null }])
  })

  await t.test('a broken promise is found, with what is broken', async t => {
    const sound = await checkPolicies(catalog, {})
    t.match(sound, { totals: { tenants: 3, protected: 2, broken: 0 }, broken: [] })
    t.doesNotThrow(() => refuseBroken(sound))
    await sql(`update saasctl.backup set taken_at = taken_at - interval '37 hours' where tenant_id = $1`, [globex.id])
    await sql(`update saasctl.backup set verified_at = now() - interval '11 days' where tenant_id = $1`, [acme.id])
    const report = await checkPolicies(catalog, {})
    t.match(report.broken, [
      { slug: 'globex', broken: 'backup too old' },
      { slug: 'acme', broken: 'verified too long ago' }
    ])
    t.throws(() => refuseBroken(report), {
      code: 'CHECK_FOUND',
      message: /tenant globex \(backup too old\) and 1 more is broken/
    })
    t.match(await checkPolicies(catalog, { plan: 'small' }), { totals: { tenants: 1, protected: 0, broken: 0 } })
    await sql('update saasctl.backup set taken_at = now(), verified_at = now() where verified_at is not null')
    const afterDrill = async (code: string) => {
      const failed = 'update saasctl.backup set taken_at = now(), verify_error = $2 where tenant_id = $1'
      await sql(failed, [acme.id, { code, message: 'It did not work.' }])
      return (await checkPolicies(catalog, {})).broken.filter(({ slug }) => slug === 'acme').map(({ broken }) => broken)
    }
    t.strictSame(await afterDrill('BACKUP_DAMAGED'), ['damaged'])
    t.strictSame(await afterDrill('SERVER_UNREACHABLE'), [], 'a server that was away says nothing of the backup')
    await sql('update saasctl.backup set verify_error = null where tenant_id = $1', [acme.id])
  })

  /** A backup that is only a row, of so many days ago. */
  const row = async (tenantId: string, databaseId: string | null, days: number, more: Record<string, unknown> = {}) => {
    const id = uuidv7()
    const { verified = false, expires = null, hold = null } = more
    await sql(
      `insert into saasctl.backup (id, tenant_id, database_id, reason, status, store, taken_at, verified_at, expires_at, hold_reason)
       values ($1, $2, $3, 'schedule', 'complete', $4, timestamptz '2026-06-30 12:00Z' - make_interval(days => $5),
         case when $6 then now() end, $7, $8)`,
      [id, tenantId, databaseId, saasctl.stores.usual, days, verified, expires, hold]
    )
    return id
  }
  const forget = (tenantId: string) =>
    plane.catalogAsSuperuser(client => client.query('delete from saasctl.backup where tenant_id = $1', [tenantId]))
  const days = async (tenantId: string) => {
    const rows = await sql<{ day: string }>(
      `select to_char(taken_at at time zone 'UTC', 'YYYY-MM-DD') as day from saasctl.backup where tenant_id = $1 and status = 'complete' order by taken_at desc`,
      [tenantId]
    )
    return rows.map(({ day }) => day)
  }

  await t.test(
    'a prune keeps the newest of days, weeks and months, what is held, and the last verified one',
    async t => {
      await forget(globex.id)
      for (let day = 0; day < 100; day += 1)
        await row(globex.id, globex.databaseId, day, { verified: day === 80 || day === 90 })
      const held = await row(globex.id, globex.databaseId, 77)
      await holdBackup(saasctl, held, 'litigation')
      const kept = await row(globex.id, globex.databaseId, 78, { expires: new Date(Date.now() + 86_400_000) })
      const planned = await planPrune(saasctl, 'globex')
      t.notOk(planned.some(({ id }) => id === held || id === kept))
      const operation = await pruneBackups(saasctl, 'globex', wait)
      t.strictSame(operation.result, { removed: planned.length })
      t.strictSame(
        await days(globex.id),
        ['2026-06-30', '2026-06-29', '2026-06-28', '2026-05-31', '2026-04-14', '2026-04-13', '2026-04-11'],
        'three days, two weeks (of which one is a day too), two months, the hold, the end of its own, the last verified'
      )
      t.strictSame(await planPrune(saasctl, 'globex'), [], 'and then there is nothing to do')
      t.strictSame(await fleetAudit(plane), [])
    }
  )

  await t.test(
    'a legal hold on a tenant keeps its backups and its stored exports, from when it is asked for',
    async t => {
      const [ada, grace] = [await asOperator(saasctl, 'ada'), await asOperator(saasctl, 'grace')]
      const old = await row(globex.id, globex.databaseId, 95)
      const other = await row(initech.id, initech.databaseId, 2, { expires: new Date(0) })
      await row(initech.id, initech.databaseId, 1)
      const exported = uuidv7()
      await sql(
        `insert into saasctl.export (id, tenant_id, operation_id, status, formats, container, masked, actor, reason, expires_at)
       values ($1, $2, $1, 'ready', '{jsonl}', 'zip', false, '{}', 'x', now())`,
        [exported, globex.id]
      )
      const kept = async (message: RegExp) => {
        await t.rejects(planPrune(saasctl, 'globex'), { code: 'TENANT_HELD', message })
        await t.rejects(pruneBackups(saasctl, 'globex', wait), { code: 'TENANT_HELD', message })
        t.equal(await expireExports(saasctl), 0)
      }
      const asked = await askHold(ada, 'globex', 'litigation 9')
      await kept(/asked for and not decided/)
      await reject(grace, asked.id)
      t.strictSame(
        (await planPrune(saasctl, 'globex')).map(({ id }) => id),
        [old],
        'a hold that was refused keeps nothing'
      )
      await approve(grace, (await askHold(ada, 'globex', 'litigation 9')).id, approvable, wait)
      await kept(/under a legal hold since .*: litigation 9/)
      t.strictSame(
        (await planPrune(saasctl, undefined)).map(({ id }) => id),
        [other],
        'a prune of all takes those of the others'
      )
      t.strictSame((await pruneBackups(saasctl, undefined, wait)).result, { removed: 1 })
      await approve(grace, (await askRelease(ada, 'globex', 'settled')).id, approvable, wait)
      t.strictSame(
        (await planPrune(saasctl, 'globex')).map(({ id }) => id),
        [old]
      )
      t.equal(await expireExports(saasctl), 1)
      await forget(globex.id)
      await forget(initech.id)
    }
  )

  await t.test('without a policy an end of its own alone lets a backup go, and the newest stays', async t => {
    for (const day of [1, 2, 3])
      await row(initech.id, initech.databaseId, day, { expires: day === 2 ? null : new Date(0) })
    t.equal((await planPrune(saasctl, 'initech')).length, 1)
    await forget(initech.id)
  })

  await t.test('many tenants are backed up at once, and one’s failure stops no other', async t => {
    await saasctl.keys.destroy(`tenant/${acme.id}`)
    const wanted = [acme, initech].map(({ id, slug }) => ({ tenantId: id, slug }))
    const told: string[] = []
    const lines = await backupFleet(saasctl, wanted, {
      perServer: 1,
      wait: () => wait,
      onDone: ({ slug }, done, all) => told.push(`${done} of ${all}: ${slug}`)
    })
    t.match(lines, [
      { slug: 'acme', error: { code: 'KEY_MISSING' } },
      { slug: 'initech', backup: /^0/, error: null }
    ])
    t.equal(told.length, 2)
    const [retry] = await sql<{ soon: boolean }>(
      `select next_at < now() + interval '16 minutes' as soon from saasctl.backup_schedule where tenant_id = $1`,
      [acme.id]
    )
    t.equal(retry?.soon, true, 'a failed one is tried again soon, not a day later')
  })

  await t.test('the end of a tenant is preceded by a last backup, which is kept for a while', async t => {
    const { tenant } = await purgeTenant(saasctl, 'initech', { ...wait, reason: 'contract ended' })
    t.equal(tenant.status, 'purged')
    const [last] = await listBackupsOf(saasctl, initech.id, { limit: 1, removed: false })
    t.match(last, { reason: 'final', status: 'complete', rowCount: 1, expiresAt: Date })
    t.strictSame(
      (await planPrune(saasctl, initech.id)).map(({ id }) => id),
      [],
      'until its end nothing removes it'
    )
    await sql('update saasctl.backup set expires_at = now() where id = $1', [last?.id])
    t.ok(
      (await planPrune(saasctl, initech.id)).some(({ id }) => id === last?.id),
      'after it, it goes'
    )
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('a tenant whose last backup fails is as it was, and can be purged without', async t => {
    await t.rejects(purgeTenant(saasctl, 'acme', wait), { code: 'KEY_MISSING' })
    t.match(await mustFind(catalog, 'acme'), { status: 'active' })
    await deleteTenant(saasctl, 'acme', wait)
    await sql(`update saasctl.tenant set purge_at = now() where id = $1`, [acme.id])
    await t.rejects(purgeTenant(saasctl, 'acme', wait), { code: 'KEY_MISSING' })
    const put = await mustFind(catalog, 'acme')
    t.match(put, { status: 'deleted' })
    t.ok((put.purgeAt?.getTime() ?? 0) > Date.now() + 1_800_000, 'and is not tried every minute')
    t.strictSame(await fleetAudit(plane), [], 'nobody gets in meanwhile')
    await purgeTenant(saasctl, 'acme', { ...wait, backup: false })
    t.match(await mustFind(catalog, acme.id), { status: 'purged' })
    t.equal(actor.name, 'tester')
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('a tenant that was deleted without a last backup has none at its end', async t => {
    await deleteTenant(saasctl, 'globex', { ...wait, finalBackup: false })
    const before = (await listBackupsOf(saasctl, globex.id, { limit: 200, removed: true })).length
    await purgeTenant(saasctl, 'globex', wait)
    t.equal((await listBackupsOf(saasctl, globex.id, { limit: 200, removed: true })).length, before)
    await t.rejects(backupTenant(saasctl, globex.id, wait), { code: 'TENANT_STATE' })
  })
}
