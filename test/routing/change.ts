import t, { type Test } from 'tap'
import { deleteTenant } from '../../src/tenants/delete.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { updateTenant } from '../../src/tenants/update.js'
import { eventually } from '../support/eventually.js'
import { type Answer, endRouter, routerProcess } from '../support/router-process.js'
import { routerWorld } from '../support/router-world.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one, two, change } = world
  const { saasctl } = world.plane
  const wait = { wait: true }
  await world.tenant('acme', { plan: 'large' })

  // The first hears of each change at once; the second's catalog is behind a network that some tests spoil.
  const drainMs = 3_000
  const near = await routerProcess(world.env, { drainMs })
  t.teardown(() => endRouter(near))
  const far = await routerProcess(world.envThrough, { drainMs })
  t.teardown(() => endRouter(far))
  const both = [near, far]

  const everywhere = (slug: string, path?: string) => Promise.all(both.map(router => router.ask(slug, path)))
  const soon = (right: (answer: Answer) => boolean, slug: string, path?: string) =>
    eventually(
      () => everywhere(slug, path),
      answers => answers.every(right)
    )
  const refused = ({ status }: Answer) => status === 404
  const served = ({ status, body }: Answer) => status === 200 && body['same'] === true

  /** One request per router, under way on server `one` when this returns, and until it is let go. */
  const underWay = async (t: Pick<Test, 'teardown'>, slug: string) => {
    const hold = await world.holdRequests(slug)
    t.teardown(() => hold.letGo())
    const requests = { over: false, answers: everywhere(slug, '/where?held') }
    void requests.answers.finally(() => {
      requests.over = true
    })
    await eventually(hold.waiting, count => count === both.length)
    return {
      hold,
      isOver: () => requests.over,
      /** How they were answered once they were let go. */
      letGo: async () => {
        await hold.letGo()
        return requests.answers
      },
      answers: requests.answers
    }
  }

  const loginsOf = async (slug: string) => {
    const logins = await change<{ name: string; role: string }>(
      `select l.name, l.role from saasctl.login l join saasctl.placement p using (database_id)
         join saasctl.tenant t on t.id = p.tenant_id where t.slug = $1`,
      [slug]
    )
    return logins.filter(({ role }) => role.startsWith('app_')).map(({ name }) => name)
  }
  /** What the server thinks of the tenant's app logins. */
  const onServer = (logins: string[]) =>
    asSuperuser(one.server, async client => {
      const { rows } = await client.query<{ open: number; inside: number }>(
        `select (select count(*)::int from pg_roles where rolcanlogin and rolname = any ($1)) as open,
           (select count(*)::int from pg_stat_activity where usename = any ($1)) as inside`,
        [logins]
      )
      return rows[0]
    })

  await t.test(
    'held for a moment: a request is told to come again, and is served when the tenant is let go',
    async t => {
      const held = (value: boolean) => change('update saasctl.tenant set held = $2 where slug = $1', ['acme', value])
      await held(true)
      await soon(({ status }) => status === 503, 'acme')
      await held(false)
      await soon(served, 'acme')
      t.pass('and it was never said that there is no such tenant')
    }
  )

  await t.test('suspended: new requests stop everywhere while those under way finish', async t => {
    const logins = await loginsOf('acme')
    const running = await underWay(t, 'acme')
    const suspending = suspendTenant(saasctl, 'acme', wait)
    await soon(refused, 'acme')
    t.notOk(running.isOver(), 'nobody new is let in while they run')
    t.ok((await running.letGo()).every(served))
    await suspending
    t.strictSame(await onServer(logins), { open: 0, inside: 0 }, 'and the server refuses by itself')
    await resumeTenant(saasctl, 'acme', wait)
    await soon(served, 'acme')
  })

  await t.test('suspended: what does not finish by the deadline is cut, and said so', async t => {
    const logins = await loginsOf('acme')
    const running = await underWay(t, 'acme')
    await suspendTenant(saasctl, 'acme', wait)
    t.strictSame(await onServer(logins), { open: 0, inside: 0 })
    for (const { status } of await running.answers) t.ok(status >= 500, `${status}`)
    for (const router of both) await router.says(({ notice }) => notice?.event === 'drain.cut')
    await resumeTenant(saasctl, 'acme', wait)
    await soon(served, 'acme')
  })

  await t.test('renamed: the new name leads to the same database, the old one nowhere', async t => {
    const [before] = await everywhere('acme')
    const running = await underWay(t, 'acme')
    await renameTenant(saasctl, 'acme', 'acme-corp')
    await soon(refused, 'acme')
    await soon(served, 'acme-corp')
    t.notOk(running.isOver())
    t.ok((await running.letGo()).every(served))
    t.equal((await near.ask('acme-corp')).body['database'], before?.body['database'])
    await renameTenant(saasctl, 'acme-corp', 'acme')
    await soon(served, 'acme')
  })

  await t.test('deleted: gone everywhere, back everywhere when it is brought back', async t => {
    const running = await underWay(t, 'acme')
    const deleting = deleteTenant(saasctl, 'acme', wait)
    await soon(refused, 'acme')
    t.notOk(running.isOver())
    t.ok((await running.letGo()).every(served))
    await deleting
    t.strictSame(await onServer(await loginsOf('acme')), { open: 0, inside: 0 })
    await undeleteTenant(saasctl, 'acme', wait)
    await soon(served, 'acme')
  })

  await t.test('another plan: its limits hold from the next request, those under way keep theirs', async t => {
    const running = await underWay(t, 'acme')
    const changing = updateTenant(saasctl, 'acme', { plan: 'small' }, wait)
    await soon(({ body }) => body['plan'] === 'small', 'acme', '/plan')
    await soon(({ body }) => body['timeout'] === '4s', 'acme', '/timeout')
    t.notOk(running.isOver())
    t.ok((await running.letGo()).every(served))
    await changing
    await updateTenant(saasctl, 'acme', { plan: 'large' }, wait)
    await soon(({ body }) => body['timeout'] === '8s', 'acme', '/timeout')
  })

  await t.test('the other app login: no request fails, none begins with the old one afterwards', async t => {
    const flip = (role: string) =>
      change(
        `update saasctl.database d set active_app = $1 from saasctl.placement p join saasctl.tenant t on t.id = p.tenant_id
         where p.database_id = d.id and t.slug = 'acme'`,
        [role]
      )
    const running = await underWay(t, 'acme')
    const all: Answer[] = []
    let over = false
    const load = both.map(async router => {
      while (!over) all.push(await router.ask('acme'))
    })
    for (const [role, letter] of [
      ['app_b', 'b'],
      ['app_a', 'a'],
      ['app_b', 'b']
    ] as const) {
      await flip(role)
      await soon(({ body }) => String(body['login']).endsWith(letter), 'acme')
      // At the first of them, since at its deadline it would be cut.
      t.ok((await running.letGo()).every(({ body }) => String(body['login']).endsWith('a') && body['same'] === true))
      for (const answer of await everywhere('acme')) t.match(answer.body['login'], new RegExp(`${letter}$`))
    }
    over = true
    await Promise.all(load)
    t.ok(all.length > 20, `${all.length} requests`)
    t.strictSame(
      all.filter(answer => !served(answer)),
      []
    )
    const [old = ''] = await loginsOf('acme')
    await eventually(
      () => one.sessions(`usename = '${old}'`),
      count => count === 0
    )
    await flip('app_a')
    await soon(({ body }) => String(body['login']).endsWith('a'), 'acme')
  })

  await t.test('another place: no request fails, and nobody is on the old server after the deadline', async t => {
    await world.tenant('stand-in', { plan: 'large', server: 'two' })
    const running = await underWay(t, 'acme')
    const tooLong = near.ask('acme', '/where?seconds=30')
    await eventually(
      () => one.sessions(`query like '%pg_sleep(%' and state = 'active'`),
      count => count === 1
    )
    await swap('acme', 'stand-in')
    await soon(({ body }) => body['port'] === two.server.port, 'acme')
    t.notOk(running.isOver())
    t.ok((await running.letGo()).every(answer => served(answer) && answer.body['port'] === one.server.port))
    t.ok((await tooLong).status >= 500, 'longer than the deadline')
    t.equal(await one.sessions(), 0)
    await swap('acme', 'stand-in')
    await soon(({ body }) => body['port'] === one.server.port, 'acme')
  })

  /** What becomes of the connection that a router listens on, without the router's doing. */
  const mishaps = {
    'ended by the server': () =>
      change(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app router'`),
    'reset by the network': async () => world.catalog.cut(),
    'dead without a word': async () => world.catalog.hang()
  }
  for (const [mishap, happen] of Object.entries(mishaps)) {
    await t.test(`a listener that is ${mishap}: the change arrives all the same`, async t => {
      await soon(served, 'acme')
      await happen()
      await change(`update saasctl.tenant set status = 'suspended' where slug = 'acme'`)
      await soon(refused, 'acme')
      await change(`update saasctl.tenant set status = 'active' where slug = 'acme'`)
      await soon(served, 'acme')
      t.ok(far.said.some(({ notice }) => notice?.event === 'catalog.away'))
      await eventually(
        async () => far.said.map(({ notice }) => notice?.event).filter(event => event?.startsWith('catalog.')),
        events => events.at(-1) === 'catalog.back'
      )
    })
  }

  await t.test('a catalog that was set back is believed after it was adopted', async t => {
    await soon(served, 'acme')
    // What a restore of an old copy does: an older revision, without a notice that could have arrived.
    await world.plane.catalogAsSuperuser(async client => {
      await client.query('alter table saasctl.tenant disable trigger tenant_changed')
      await client.query(`update saasctl.tenant set revision = 1, slug = 'acme-once' where slug = 'acme'`)
      await client.query('alter table saasctl.tenant enable trigger tenant_changed')
      await client.query('update saasctl.instance set incarnation = gen_random_uuid()')
    })
    await soon(refused, 'acme')
    await soon(served, 'acme-once')
    t.teardown(() => {
      world.catalog.mode = 'pass'
    })
    // It may have been asked for between the first question after the adoption and the moment when that is dealt with.
    await eventually(
      async () => {
        world.catalog.mode = 'silent'
        const { status } = await far.ask('acme-once')
        world.catalog.mode = 'pass'
        return status
      },
      status => status === 200
    )
    t.pass('and remembered')
    await change(`update saasctl.tenant set slug = 'acme' where slug = 'acme-once'`)
    await soon(served, 'acme')
  })

  /** Moves two tenants to each other's database, as a change of the catalog in one transaction. */
  async function swap(slug: string, other: string): Promise<void> {
    await world.plane.catalogAsSuperuser(async client => {
      await client.query('begin')
      const { rows } = await client.query<{ tenant: string; database: string }>(
        `delete from saasctl.placement p using saasctl.tenant t where t.id = p.tenant_id and t.slug in ($1, $2)
         returning p.tenant_id as tenant, p.database_id as database`,
        [slug, other]
      )
      const insert = 'insert into saasctl.placement (tenant_id, database_id) values ($1, $2), ($3, $4)'
      const [first, last] = rows
      await client.query(insert, [first?.tenant, last?.database, last?.tenant, first?.database])
      await client.query('commit')
    })
  }
}
