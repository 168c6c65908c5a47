import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { gather } from '../../src/databases/work.js'
import { findTenant } from '../../src/index.js'
import { planUndo, retryRollout, startRollout } from '../../src/rollouts/control.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { planRollout } from '../../src/rollouts/plan.js'
import { rehearseRollout } from '../../src/rollouts/rehearse.js'
import { usualSettings } from '../../src/rollouts/settings.js'
import { addServer } from '../../src/servers/add.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { mysqlControlLogin, skipWithoutMysql, startMariadb } from '../support/mariadb-server.js'
import { planned, tinyWish } from '../support/rollout-wish.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** A rollout where each DDL commits itself: what was half done is known from the journal. */
if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const tiny = await tinyTemplate(['postgres', 'mysql'])
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const mysql = await startMariadb()
  t.teardown(() => mysql.stop())
  const control = await mysqlControlLogin(mysql)
  const { host, port } = mysql
  await addServer(saasctl, { name: 'maria', engine: 'mysql', host, port, ...control })
  for (const slug of ['acme', 'globex'])
    await createTenant(saasctl, { slug, plan: 'small', engine: 'mysql' }, { template: 'tiny' }, { wait: true })
  await createTenant(
    saasctl,
    { slug: 'initech', plan: 'small', engine: 'postgres' },
    { template: 'tiny' },
    { wait: true }
  )
  const roll = async (id: string) => {
    await startRollout(saasctl, id)
    return followRollout(saasctl, id, {})
  }
  const database = async (slug: string) => (await findTenant(saasctl.catalog, slug)).database ?? ''
  const read = async (slug: string, sql: string) => {
    const { engine, access, logins, names } = await gather(
      saasctl,
      (await findTenant(saasctl.catalog, slug)).databaseId ?? ''
    )
    return engine.read(access, names.database, await logins.credentials('readonly'), sql, { timeoutMs: 5000 })
  }
  const columns = async (slug: string) => {
    const sql = `select column_name as name from information_schema.columns where table_schema = '${await database(slug)}' and table_name = 'tags'`
    return (await read(slug, sql)).map(({ name }) => name)
  }
  const audit = async () => {
    await settle(saasctl)
    return fleetAudit(plane, { mysql })
  }

  await t.test('a query that would change something is told that it only reads, on each engine', async t => {
    for (const slug of ['globex', 'initech']) {
      for (const sql of ['create table mine (id int)', `insert into notes values (9, 'x')`, 'delete from notes']) {
        await t.rejects(
          read(slug, sql),
          { code: 'INVALID_INPUT', message: /^A query may only read, and this one/ },
          sql
        )
      }
      await t.rejects(read(slug, 'select * from nowhere'), { code: 'SERVER_FAILED' })
    }
  })

  await t.test('one plan names what each engine is told of the same files, and the biggest table it hits', async t => {
    const fill = `insert into notes select seq, repeat('x', 500) from seq_2_to_4000; analyze table notes`
    await mysql.root(fill, await database('globex'))
    await tiny.grow({ up: 'alter table notes add constraint long_enough check (length(body) > 2);', down: '' })
    const { findings } = await planRollout(saasctl, tinyWish())
    t.match(
      findings.map(({ engine, code, table, hits }) => [engine, code, table, hits?.slug, hits?.table]),
      [
        ['mysql', 'constraint.scan', 'notes', 'globex', true],
        ['postgres', 'constraint.scan', 'notes', 'initech', true]
      ]
    )
    t.ok((findings[0]?.hits?.bytes ?? 0) > 1_000_000)
  })

  await t.test('a dry run tries them on a clone of each engine’s template, or of a tenant with its rows', async t => {
    const id = await planned(saasctl)
    const tried = await rehearseRollout(saasctl, id)
    t.strictSame(tried.map(({ engine }) => engine).toSorted(), ['mysql', 'postgres'])
    t.match(await rehearseRollout(saasctl, id, { on: 'globex' }), [{ engine: 'mysql', tenant: 'globex' }])
    await mysql.root(`update notes set body = 'x' where id = 7`, await database('globex'))
    await t.rejects(
      rehearseRollout(saasctl, id, { on: 'globex' }),
      { code: 'MIGRATION_FAILED' },
      'it read the rows anew'
    )
    t.strictSame(await audit(), [], 'the tenant is open again, and the clones are gone')
    await mysql.root(`update notes set body = 'xxx' where id = 7`, await database('globex'))
    t.equal((await roll(id)).rollout.status, 'succeeded')
  })

  await t.test('a file that failed between two of its statements goes on at the second when it is retried', async t => {
    await tiny.grow({
      up: 'alter table tags add first_one int;\nalter table tags add constraint few check (id < 100);',
      down: 'alter table tags drop constraint few;\nalter table tags drop first_one;'
    })
    await mysql.root(`insert into tags (id) values (200)`, await database('acme'))
    const { rollout, failures } = await roll(await planned(saasctl))
    t.equal(rollout.status, 'failed')
    t.match(failures, [{ slug: 'acme', error: { code: 'MIGRATION_FAILED', message: /few/ } }])
    t.ok((await columns('acme')).includes('first_one'), 'the first statement has committed itself')
    await mysql.root('delete from tags', await database('acme'))
    await retryRollout(saasctl, rollout.id)
    t.equal((await followRollout(saasctl, rollout.id, {})).rollout.status, 'succeeded')
    t.strictSame(await columns('acme'), ['id', 'name', 'first_one'], 'and did not happen again')
    const undo = await planUndo(saasctl, rollout.id, usualSettings)
    t.equal((await roll(undo.id)).rollout.status, 'succeeded')
    t.strictSame(await columns('globex'), ['id', 'name'])
    t.equal((await roll(await planned(saasctl))).rollout.status, 'succeeded')
  })

  await t.test('--verify looks into both, and an edited file is named with its engine', async t => {
    const looked = async () => (await planRollout(saasctl, tinyWish({ verify: true }))).verified
    t.match(await looked(), { looked: 3, learned: [], drifted: [], failed: [] })
    await mysql.root('alter table tags add by_hand int', await database('acme'))
    t.match(await looked(), { drifted: ['acme'] })
    await writeFile(join(tiny.migrations, '0004_grown.sql'), 'select 1;')
    await t.rejects(planRollout(saasctl, tinyWish()), { code: 'MIGRATION_CHANGED', message: /0004_grown/ })
  })
}
