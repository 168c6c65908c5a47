import { execFile } from 'node:child_process'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { packageFolder } from '../../src/config.js'
import { gather } from '../../src/databases/work.js'
import { findTenant } from '../../src/index.js'
import { abortRollout, planUndo, resumeRollout, retryRollout, startRollout } from '../../src/rollouts/control.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { planRollout } from '../../src/rollouts/plan.js'
import { type RolloutSettings, usualSettings } from '../../src/rollouts/settings.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { planned, tinyWish } from '../support/rollout-wish.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** What happens to a rollout's files, and who else works on the same databases with them. */
if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  for (const slug of ['acme', 'globex', 'initech'])
    await createTenant(saasctl, { slug, plan: 'small' }, { template: 'tiny' }, { wait: true })
  const file = (name: string) => join(tiny.migrations, `${name}.sql`)
  const write = (name: string, text: string) => writeFile(file(name), text)
  const roll = async (...wish: Parameters<typeof tinyWish>) => {
    const id = await planned(saasctl, ...wish)
    await startRollout(saasctl, id)
    return followRollout(saasctl, id, {})
  }
  const ledger = (slug: string) =>
    asTenantOwner(saasctl, slug, async client => {
      const { rows } = await client.query<{ name: string }>('select name from saasctl.pgmigrations order by id')
      return rows.map(({ name }) => name)
    })
  const one = (slug: string) => ({ selector: { slugs: [slug] }, wholeFleet: false })

  await t.test('a migration that was edited after it was applied is refused and named', async t => {
    const text = await readFile(file('0001_grown'), 'utf8')
    await write('0001_grown', `${text}\n-- a word more`)
    await t.rejects(planRollout(saasctl, tinyWish()), {
      code: 'MIGRATION_CHANGED',
      message: 'Migration 0001_grown (postgres) was edited after it was applied.'
    })
    await write('0001_grown', text)
    t.match(await planRollout(saasctl, tinyWish()), { id: undefined })
  })

  /** As if the time between two waves were over. */
  const soaked = () =>
    saasctl.catalog.query(
      `update saasctl.operation set next_at = now() where kind = 'rollout.turn' and status = 'queued'`
    )

  await t.test(
    'a file that is deleted, renamed or edited while it is rolled out stops it there, and it goes on after',
    async t => {
      const half: Partial<RolloutSettings> = { canary: 1, soakMs: 600_000 }
      const change = async (spoil: (name: string) => Promise<unknown>, says: RegExp) => {
        const name = await tiny.grow()
        const text = await readFile(file(name), 'utf8')
        const id = await planned(saasctl, {}, half)
        await startRollout(saasctl, id)
        const spoilt = followRollout(saasctl, id, {
          onMoved: ({ waves }) => {
            if (waves[0]?.workedAt && waves[0].finishedAt === null) void spoil(name).then(soaked)
          }
        })
        const { rollout, waves } = await spoilt
        t.match(rollout, { status: 'braked', reason: says })
        t.strictSame(
          waves.map(({ done, failed }) => [done, failed]),
          [
            [1, 0],
            [0, 0]
          ]
        )
        await t.rejects(resumeRollout(saasctl, id), { code: 'ROLLOUT_CHANGED' })
        await rm(file('9999_other'), { force: true })
        await write(name, text)
        await resumeRollout(saasctl, id)
        t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
      }
      await change(name => rm(file(name)), /0003_grown \(postgres\) is gone/)
      await change(name => rename(file(name), file('9999_other')), /0004_grown \(postgres\) is gone/)
      await change(name => write(name, 'select 1;'), /0005_grown \(postgres\) was edited/)
    }
  )

  await t.test(
    'a file that is added while it is rolled out waits for the next rollout, in the template, too',
    async t => {
      const name = await tiny.grow()
      const id = await planned(saasctl)
      const added = await tiny.grow()
      await startRollout(saasctl, id)
      t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
      const build = await saasctl.catalog.query<{ newest: string }>(
        `select migration as newest from saasctl.database where kind = 'template' and state = 'ready' order by id desc limit 1`
      )
      t.not(build[0]?.newest, added, 'no sign-up passes its canary by')
      t.strictSame([(await ledger('acme')).at(-1), (await ledger('globex')).at(-1)], [name, name])
      t.equal((await roll()).rollout.status, 'succeeded')
    }
  )

  await t.test('a file that comes before an applied one needs its header', async t => {
    await write('0002_hotfix', '-- Up Migration\ncreate table hotfix ();\n-- Down Migration\ndrop table hotfix;')
    const failed = await roll({}, { brakes: { failures: 1, percent: null, consecutive: null } })
    t.match(failed, { rollout: { status: 'braked' } })
    t.match(failed.failures[0]?.error, { code: 'MIGRATION_CHANGED', message: /0002_hotfix comes before 0007_grown/ })
    await abortRollout(saasctl, failed.rollout.id)
    const text = await readFile(file('0002_hotfix'), 'utf8')
    await write('0002_hotfix', `-- saasctl: out_of_order=true\n${text}`)
    t.equal((await roll()).rollout.status, 'succeeded')
    t.equal((await ledger('acme')).at(-1), '0002_hotfix', 'the ledger says in which order it came')
    t.match(await planRollout(saasctl, tinyWish()), { id: undefined }, 'and then there is nothing to do')
    t.equal((await findTenant(saasctl.catalog, 'acme')).migration, '0007_grown', 'it stands where all others stand')
  })

  await t.test('down takes back exactly what a rollout did, where it did it', async t => {
    const before = await ledger('globex')
    await tiny.grow()
    await roll(one('acme'))
    await tiny.grow()
    const second = await roll(one('acme'))
    const undo = await planUndo(saasctl, second.rollout.id, usualSettings)
    await startRollout(saasctl, undo.id)
    t.equal((await followRollout(saasctl, undo.id, {})).rollout.status, 'succeeded')
    t.equal((await ledger('acme')).at(-1), '0008_grown', 'the one before it is kept')
    t.strictSame(await ledger('globex'), before, 'who was not migrated is not touched')
    t.equal((await roll()).rollout.status, 'succeeded')
  })

  await t.test('CREATE INDEX CONCURRENTLY that left an invalid index is made whole by a retry', async t => {
    await asTenantOwner(saasctl, 'acme', client => client.query(`insert into notes values (2, 'twice'), (3, 'twice')`))
    await tiny.grow()
    await write(
      '0010_grown',
      '-- saasctl: transaction=false\n-- Up Migration\ncreate unique index concurrently notes_body on notes (body);\n-- Down Migration\ndrop index concurrently notes_body;\n'
    )
    const { rollout, failures } = await roll()
    t.equal(rollout.status, 'failed')
    t.match(failures, [{ slug: 'acme', error: { code: 'MIGRATION_FAILED', message: /could not create unique index/ } }])
    const valid = () =>
      asTenantOwner(saasctl, 'acme', async client => {
        const { rows } = await client.query<{ valid: boolean }>(
          `select indisvalid as valid from pg_index where indexrelid = to_regclass('notes_body')`
        )
        return rows.map(row => row.valid)
      })
    t.strictSame(await valid(), [false], 'PostgreSQL has left one that is of no use')
    await asTenantOwner(saasctl, 'acme', client => client.query('delete from notes where id = 3'))
    await retryRollout(saasctl, rollout.id)
    t.equal((await followRollout(saasctl, rollout.id, {})).rollout.status, 'succeeded')
    t.strictSame(await valid(), [true])
  })

  /** node-pg-migrate's own command line in one tenant's database. */
  const nodePgMigrate = async (slug: string, ...args: string[]) => {
    const { databaseId } = await findTenant(saasctl.catalog, slug)
    const { access, database, logins } = await gather(saasctl, databaseId ?? '')
    const { login, password } = await logins.credentials('owner')
    const url = `postgres://${login}:${encodeURIComponent(password.reveal())}@${access.host}:${access.port}/${database.name}`
    const cli = join(packageFolder, 'node_modules', 'node-pg-migrate', 'bin', 'node-pg-migrate.js')
    const run = promisify(execFile)
    return run(
      process.execPath,
      [cli, ...args, '-m', tiny.migrations, '--migrations-schema', 'saasctl', '--no-check-order'],
      {
        env: { DATABASE_URL: url },
        cwd: tiny.migrations
      }
    )
  }
  const LOCK = '7241865325823964'

  await t.test(
    'node-pg-migrate finds nothing to do after a rollout, and a rollout learns what it has done',
    async t => {
      const [first] = [await nodePgMigrate('globex', 'up')]
      t.match(first.stdout, /No migrations to run!/)
      const name = await tiny.grow()
      await nodePgMigrate('globex', 'up')
      t.equal((await ledger('globex')).at(-1), name)
      const plan = await planRollout(saasctl, tinyWish({ verify: true }))
      t.strictSame(plan.tenants.toSorted(), ['acme', 'initech'], 'globex has it')
      t.match(plan.verified, { learned: [{ slug: 'globex', after: name }] })
      await startRollout(saasctl, plan.id ?? '')
      t.equal((await followRollout(saasctl, plan.id ?? '', {})).rollout.status, 'succeeded')
    }
  )

  await t.test('who is told nothing of it agrees all the same', async t => {
    await tiny.grow()
    await nodePgMigrate('initech', 'up')
    const { rollout, failures } = await roll()
    t.strictSame(failures, [])
    t.equal(rollout.status, 'succeeded', 'the lane looks inside where the ledger is ahead of the catalog')
    await nodePgMigrate('acme', 'down')
    const after = await planRollout(saasctl, tinyWish({ verify: true }))
    t.match(after, { tenants: ['acme'], verified: { learned: [{ slug: 'acme' }] } })
    await startRollout(saasctl, after.id ?? '')
    await followRollout(saasctl, after.id ?? '', {})
  })

  await t.test('while its lock is held a rollout tries again, and while ours is held it is refused', async t => {
    const name = await tiny.grow()
    await asTenantOwner(saasctl, 'acme', async client => {
      await client.query(`select pg_advisory_lock(${LOCK})`)
      const id = await planned(saasctl)
      await startRollout(saasctl, id)
      let waited = false
      const { rollout } = await followRollout(saasctl, id, {
        onMoved: ({ waves }) => {
          const [wave] = waves
          if (waited || wave?.done !== 2) return
          waited = true
          void client.query('select pg_advisory_unlock_all()')
        }
      })
      t.ok(waited, 'the two others did not wait for it')
      t.equal(rollout.status, 'succeeded')
    })
    t.equal((await ledger('acme')).at(-1), name)
    const waits = 'while not exists (select from notes where id = 4711) loop perform pg_sleep(0.02); end loop;'
    await tiny.grow({ up: `-- statement\ndo $$ begin ${waits} end $$;\n-- statement`, down: '' })
    const id = await planned(saasctl, one('acme'))
    await startRollout(saasctl, id)
    const followed = followRollout(saasctl, id, {})
    await held()
    const refused = await nodePgMigrate('acme', 'up').then(
      () => 'it ran',
      (error: { stderr: string }) => error.stderr
    )
    t.match(refused, /Another migration is already running/)
    await asTenantOwner(saasctl, 'acme', client => client.query(`insert into notes values (4711, 'now go on')`))
    t.equal((await followed).rollout.status, 'succeeded')
  })

  /** Until our migration is at work in acme's database. */
  async function held(): Promise<void> {
    await asSuperuser(plane.server, async client => {
      const locked = `select from pg_locks where locktype = 'advisory' and granted
        and (classid::bigint << 32 | objid::bigint) = ${LOCK}`
      await eventually(
        () => client.query(locked),
        ({ rows }) => rows.length > 0
      )
    })
  }
}
