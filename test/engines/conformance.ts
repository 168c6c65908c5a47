import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type LoginRole, loginRoles } from '../../src/engines/engine.js'
import { SaasctlError } from '../../src/errors.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import {
  drop,
  fence,
  inside,
  limits,
  make,
  makeTemplate,
  migrate,
  plan,
  type RunningEngine,
  realEngines
} from '../support/real-engines.js'

/** The same sentences for every engine that is found here. What differs between engines is in their `sql`. */
for (const { title, start } of await realEngines()) {
  t.test(title, async t => {
    const running = await start()
    t.teardown(() => running.stop())
    t.test('making', t => making(t, running))
    t.test('isolation', t => isolation(t, running))
    t.test('copies', t => copies(t, running))
    t.test('logins', t => logins(t, running))
    t.test('migrations', t => migrations(t, running))
    t.test('fences', t => fences(t, running))
    t.test('dropping', t => dropping(t, running))
    t.test('refusals', t => refusals(t, running))
  })
}

async function making(t: Test, running: RunningEngine) {
  const { engine, access } = running

  t.test('a server says what it is and what it can do', async t => {
    const facts = await engine.probe(access)
    t.match(facts, { version: /^\d+\.\d+/, major: Number, capabilities: { terminateSessions: true } })
    t.ok(facts.version.startsWith(String(facts.major)))
  })

  t.test('what is not there is absent, and no error', async t => {
    t.strictSame(await engine.state(access, plan(engine).names), {
      database: 'absent',
      logins: { owner: 'absent', app_a: 'absent', app_b: 'absent', readonly: 'absent' },
      bytes: 0
    })
  })

  t.test(
    'a database is closed to everybody until it is guarded, and to the app until its logins are opened',
    async t => {
      const planned = plan(engine)
      const session = await engine.enter(access, fence())
      t.teardown(() => drop(running, planned))
      t.teardown(() => session.end())
      const { names, passwords } = planned
      await session.makeLogins({ names, passwords, limits })
      await session.makeDatabase(names)
      t.match(await engine.state(access, names), {
        database: 'closed',
        logins: { owner: 'open', app_a: 'closed', app_b: 'closed', readonly: 'closed' }
      })
      await t.rejects(running.query(names.database, planned.as('owner'), 'select 1'))
      await session.guardDatabase(names)
      t.match(await running.query(names.database, planned.as('owner'), 'select 1 as one'), [{ one: 1 }])
      for (const role of ['app_a', 'app_b', 'readonly'] as const) {
        await t.rejects(running.query(names.database, planned.as(role), 'select 1'), `${role} is closed`)
      }
      await session.openLogins(names, ['app_a'])
      t.match(await engine.state(access, names), { database: 'open', logins: { app_a: 'open', app_b: 'closed' } })
    }
  )

  t.test('every verb may be repeated, and the database then has its own logins, identity and size', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const state = await engine.state(access, planned.names)
    t.match(state, { database: 'open', logins: { owner: 'open', app_a: 'open', app_b: 'open', readonly: 'open' } })
    t.ok(state.bytes > 0)
    for (const role of loginRoles) {
      await engine.identify(access, planned.names.database, planned.as(role), planned.id)
    }
    const [database] = (await engine.inventory(access)).databases.filter(({ name }) => name === planned.names.database)
    t.match(database, { state: 'open', bytes: state.bytes })
  })

  t.test('a database that says it is another one is refused', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const other = engine.identify(access, planned.names.database, planned.as('app_a'), uuidv7())
    await t.rejects(other, { code: 'IDENTITY_WRONG' })
  })

  t.test('what is bound beside a database is read again, only the last of it, and goes with the database', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    const absent = plan(engine)
    await session.bind(absent.names, 'nobody’s')
    await session.bind(planned.names, 'first')
    await session.bind(planned.names, `'last' \\ "of" it`)
    const database = planned.names.database
    const found = async () => (await engine.bindings(access)).filter(one => one.database === database)
    t.strictSame(await found(), [{ database, text: `'last' \\ "of" it` }])
    t.notOk((await engine.bindings(access)).some(one => one.database === absent.names.database))
    await engine.identify(access, database, planned.as('app_a'), planned.id)
    await session.dropDatabase(planned.names)
    t.strictSame(await found(), [])
  })

  t.test('names, logins and groups are of the form that the inventory finds, and nothing else is', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const stranger = await running.stranger()
    const { databases, logins } = await engine.inventory(access)
    const names = logins.map(({ name }) => name)
    for (const role of loginRoles) t.ok(names.includes(planned.names.logins[role]), role)
    t.notOk(names.includes(stranger.login))
    t.ok(databases.every(({ name }) => name.length === 27))
  })
}

async function isolation(t: Test, running: RunningEngine) {
  t.test('no login of one tenant gets into the database of another, in either direction', async t => {
    const a = await make(running)
    const b = await make(running)
    t.teardown(() => drop(running, a))
    t.teardown(() => drop(running, b))
    for (const role of loginRoles) {
      await t.rejects(running.query(b.names.database, a.as(role), 'select 1'), `${role} of A at B`)
      await t.rejects(running.query(a.names.database, b.as(role), 'select 1'), `${role} of B at A`)
      await t.rejects(
        running.engine.identify(running.access, b.names.database, a.as(role), b.id),
        { code: 'SERVER_DENIED' },
        `${role} of A is told so by the engine`
      )
    }
  })

  t.test('a login that belongs to no tenant gets into no tenant’s database', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    await t.rejects(running.query(a.names.database, await running.stranger(), 'select 1'))
  })

  t.test('an app login reads and writes, a read-only login reads, and neither changes the schema', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const { sql } = running
    await migrate(running, a, [sql.notes])
    const run = (role: LoginRole, statement: string) => running.query(a.names.database, a.as(role), statement)
    for (const role of ['app_a', 'app_b'] as const) {
      await run(role, `insert into notes (body) values ('by ${role}')`)
      await run(role, `update notes set body = 'edited' where body = 'by ${role}'`)
    }
    t.strictSame(await run('readonly', 'select body from notes'), [{ body: 'edited' }, { body: 'edited' }])
    await run('app_a', 'delete from notes')
    for (const statement of sql.forbiddenToApp(a.names.database)) await t.rejects(run('app_a', statement), statement)
    for (const statement of sql.forbiddenToReadonly(a.names.database))
      await t.rejects(run('readonly', statement), statement)
  })

  t.test('a plan’s number of connections is a wall', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await running.engine.enter(running.access, fence())
    await session.setLimits(a.names, { ...limits, connections: 2 })
    await session.end()
    const held = []
    for (let count = 0; count < 2 + running.sql.spare; count += 1)
      held.push(await running.hold(a.names.database, a.as('app_a')))
    await t.rejects(running.hold(a.names.database, a.as('app_a')), 'one more is refused')
    const applied = running.engine.appliedMigrations(running.access, a.names.database, a.as('owner'))
    t.strictSame(await applied, [], 'the control plane still gets in')
    for (const connection of held) await connection.close()
  })
}

async function copies(t: Test, running: RunningEngine) {
  const { engine, access, sql } = running
  const template = await makeTemplate(running, [sql.everything, sql.notes])
  t.teardown(() => drop(running, template))

  t.test('a copy of a template belongs to its own logins alone, and works', async t => {
    const copy = await make(running, template)
    t.teardown(() => drop(running, copy))
    const applied = await engine.appliedMigrations(access, copy.names.database, copy.as('owner'))
    t.strictSame(
      applied.map(({ name }) => name),
      [sql.everything.name, sql.notes.name]
    )
    for (const statement of [...sql.useEverything, `insert into notes (body) values ('x')`]) {
      await running.query(copy.names.database, copy.as('app_b'), statement)
    }
    for (const statement of sql.forbiddenToApp(copy.names.database)) {
      await t.rejects(running.query(copy.names.database, copy.as('app_a'), statement), statement)
    }
    for (const role of loginRoles) {
      await t.rejects(running.query(copy.names.database, template.as(role), 'select 1'), `template’s ${role}`)
    }
    await engine.identify(access, copy.names.database, copy.as('readonly'), copy.id)
  })

  t.test('a copy goes on migrating as its own owner, and its app keeps its rights to new tables', async t => {
    const copy = await make(running, template)
    t.teardown(() => drop(running, copy))
    await inside(running, copy, async owner => {
      await owner.apply(sql.notesPinned, 'up', sql.notes.name)
      await owner.run('create table later (id int);')
    })
    await running.query(copy.names.database, copy.as('app_a'), 'insert into later values (1)')
    t.match(await running.query(copy.names.database, copy.as('readonly'), 'select id from later'), [{ id: 1 }])
  })

  t.test('a template and its copies have one fingerprint, and any change has another', async t => {
    const [a, b] = [await make(running, template), await make(running, template)]
    t.teardown(() => drop(running, a))
    t.teardown(() => drop(running, b))
    const print = (planned: typeof a) => inside(running, planned, owner => owner.fingerprint())
    const first = await print(a)
    t.match(first, /^[0-9a-f]{64}$/)
    t.equal(await print(b), first)
    await inside(running, b, owner => owner.apply(sql.notesPinned, 'up', sql.notes.name))
    t.not(await print(b), first)
    await inside(running, b, owner => owner.apply(sql.notesPinned, 'down', sql.notesPinned.name))
    t.equal(await print(b), first, 'up and down again is as before')
  })

  t.test('copies of one template are made at the same time', async t => {
    const made = await Promise.all([1, 2, 3, 4].map(() => make(running, template)))
    for (const copy of made) {
      t.ok(await running.query(copy.names.database, copy.as('app_a'), `insert into notes (body) values ('x')`))
      await drop(running, copy)
    }
  })
}

async function logins(t: Test, running: RunningEngine) {
  const { engine, access } = running
  const a = await make(running)
  const session = await engine.enter(access, fence())
  t.teardown(() => drop(running, a))
  t.teardown(() => session.end())
  const one = (role: LoginRole) => running.query(a.names.database, a.as(role), 'select 1')

  t.test('closing logins ends their sessions and leaves the others alone', async t => {
    const closed = await running.hold(a.names.database, a.as('app_a'))
    const other = await running.hold(a.names.database, a.as('app_b'))
    t.teardown(() => other.close())
    await session.closeLogins(a.names, ['app_a'])
    await closed.ended
    await t.rejects(one('app_a'))
    await other.query('select 1')
    await session.closeLogins(a.names, ['app_a'])
    await session.openLogins(a.names, ['app_a'])
    await one('app_a')
  })

  t.test('closing logins with grace shuts the door at once and lets whoever is inside finish', async t => {
    const inside = await running.hold(a.names.database, a.as('app_a'))
    const closing = session.closeLogins(a.names, ['app_a'], 60_000)
    let over = false
    void closing.finally(() => {
      over = true
    })
    while (await one('app_a').catch(() => undefined));
    t.notOk(over, 'nobody comes in while it waits')
    await inside.query('select 1')
    await inside.close()
    await closing
    await session.openLogins(a.names, ['app_a'])
  })

  t.test('a new password is for that login alone, and the old one opens nothing', async t => {
    const password = new Secret('another-password')
    await session.setPasswords(a.names, { app_b: password })
    await t.rejects(one('app_b'))
    await running.query(a.names.database, { login: a.names.logins.app_b, password }, 'select 1')
    await one('app_a')
    await session.setPasswords(a.names, { app_b: a.passwords.app_b })
    await one('app_b')
  })

  t.test('a sealed database lets nobody in and keeps nobody, until it is unsealed', async t => {
    const guest = await running.hold(a.names.database, a.as('app_a'))
    await session.sealDatabase(a.names)
    await guest.ended
    await session.sealDatabase(a.names)
    t.match(await engine.state(access, a.names), { database: 'closed' })
    for (const role of loginRoles) await t.rejects(one(role), role)
    await session.unsealDatabase(a.names)
    await session.unsealDatabase(a.names)
    for (const role of loginRoles) t.ok(await one(role), role)
    await t.rejects(running.query(a.names.database, await running.stranger(), 'select 1'))
  })
}

async function migrations(t: Test, running: RunningEngine) {
  const { sql } = running
  const a = await make(running)
  t.teardown(() => drop(running, a))
  const names = async () =>
    (await running.engine.appliedMigrations(running.access, a.names.database, a.as('owner'))).map(({ name }) => name)

  t.test('migrations go up and down, each with its row, and a second time is nothing', async t => {
    await inside(running, a, async owner => {
      t.strictSame(await owner.applied(), [])
      await owner.apply(sql.notes, 'up', null)
      await owner.apply(sql.notes, 'up', null)
      await owner.apply(sql.notesPinned, 'up', sql.notes.name)
      t.match(await owner.applied(), [
        { name: sql.notes.name, at: Date },
        { name: sql.notesPinned.name, at: Date }
      ])
      await owner.apply(sql.notesPinned, 'down', sql.notesPinned.name)
      await owner.apply(sql.notesPinned, 'down', sql.notesPinned.name)
    })
    t.strictSame(await names(), [sql.notes.name])
  })

  t.test('a migration is refused when somebody else migrated meanwhile', async t => {
    await inside(running, a, async owner => {
      await t.rejects(owner.apply(sql.notesPinned, 'up', 'something-else'), { code: 'MIGRATION_CHANGED' })
      await t.rejects(owner.apply(sql.notesPinned, 'up', null), { code: 'MIGRATION_CHANGED' })
    })
    t.strictSame(await names(), [sql.notes.name])
  })

  t.test('a migration that fails says where, and leaves nothing that another could be built upon', async t => {
    const { capabilities } = await running.engine.probe(running.access)
    const b = capabilities.transactionalDdl ? a : await make(running)
    if (b !== a) t.teardown(() => drop(running, b))
    await inside(running, b, async owner => {
      if (b !== a) await owner.apply(sql.notes, 'up', null)
      const before = await owner.fingerprint()
      await t.rejects(owner.apply(sql.broken, 'up', sql.notes.name), {
        code: 'MIGRATION_FAILED',
        retryable: false,
        message: new RegExp(`${sql.broken.name}:3.*no_such_table`)
      })
      if (!capabilities.transactionalDdl) {
        // What each statement had done by then stays, and the journal knows.
        await t.rejects(owner.apply(sql.notesPinned, 'up', sql.notes.name), { code: 'MIGRATION_FAILED' })
        t.match(await owner.applied(), [{ name: sql.notes.name }])
        return
      }
      t.equal(await owner.fingerprint(), before)
      await owner.apply(sql.notesPinned, 'up', sql.notes.name)
      await owner.apply(sql.notesPinned, 'down', sql.notesPinned.name)
    })
    t.strictSame(await names(), [sql.notes.name])
  })

  t.test('a migration that may wait for a lock lets those pass who come after it, and gets it in the end', async t => {
    const b = await make(running)
    t.teardown(() => drop(running, b))
    await migrate(running, b, [sql.notes])
    const [holder, reader] = [
      await running.hold(b.names.database, b.as('app_a')),
      await running.hold(b.names.database, b.as('app_b'))
    ]
    await holder.query('begin')
    await holder.query('select * from notes')
    const patient = { ...sql.notesPinned, options: { ...sql.notesPinned.options, lockTimeoutMs: 10_000 } }
    let over = false
    const applied = inside(running, b, owner => owner.apply(patient, 'up', sql.notes.name)).finally(() => {
      over = true
    })
    // Until it stands in the queue; when it does not yet, the read below proves less and harms nothing.
    await sleep(700)
    await reader.query('select * from notes')
    t.notOk(over, 'a read that queued behind it went before it')
    await holder.query('commit')
    await applied
    await Promise.all([holder.close(), reader.close()])
  })

  t.test('a migration without a down part is not undone', async t => {
    await inside(running, a, owner =>
      t.rejects(owner.apply({ ...sql.notes, down: null }, 'down', sql.notes.name), { code: 'MIGRATION_FAILED' })
    )
  })

  t.test('a seed is run whole or not at all', async t => {
    await inside(running, a, async owner => {
      await owner.run(`insert into notes (body) values ('one');\ninsert into notes (body) values ('two');\n`)
      await t.rejects(owner.run(`insert into notes (body) values ('three');\ninsert into nowhere values (1);`), {
        code: 'MIGRATION_FAILED',
        message: /line 2/
      })
      t.ok((await owner.bytes()) > 0)
    })
    const [seeded] = await running.query(a.names.database, a.as('readonly'), 'select count(*) as n from notes')
    t.equal(Number(seeded?.['n']), 2)
  })
}

async function fences(t: Test, running: RunningEngine) {
  const { engine, access } = running

  t.test('who is overtaken loses every session of the operation before the other one acts', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    let epoch = 1
    const of = (own: number) => ({
      ...fence('the-database', operation, own),
      confirm: async () => {
        if (own !== epoch) throw new SaasctlError('FENCED', 'Another process owns the operation.')
      }
    })
    const operation = uuidv7()
    const old = await engine.enter(access, of(1))
    const oldOwner = await old.enterDatabase(a.names, a.as('owner'))
    epoch = 2
    const fresh = await engine.enter(access, of(2))
    await t.rejects(oldOwner.run('create table by_a_zombie (id int);'), { code: 'FENCED' })
    await t.rejects(old.setLimits(a.names, limits), { code: 'FENCED' })
    await t.rejects(old.enterDatabase(a.names, a.as('owner')), { code: 'FENCED' })
    await oldOwner.end()
    await old.end()
    await fresh.setLimits(a.names, limits)
    await fresh.end()
    await t.rejects(running.query(a.names.database, a.as('owner'), 'select * from by_a_zombie'))
  })

  t.test('who is overtaken before it acts does not act', async t => {
    const fenced = { ...fence(), confirm: () => Promise.reject(new SaasctlError('FENCED', 'Overtaken.')) }
    await t.rejects(engine.enter(access, fenced), { code: 'FENCED' })
    await (await engine.enter(access, { ...fenced, confirm: async () => {} })).end()
  })

  t.test('the catalog is asked only once the lock is held, and a second operation waits for the lock', async t => {
    const lock = uuidv7()
    const first = await engine.enter(access, fence(lock))
    let asked = false
    const confirm = async () => {
      asked = true
    }
    const second = engine.enter(access, { ...fence(lock), confirm })
    await new Promise(resolve => setTimeout(resolve, 150))
    t.equal(asked, false)
    await first.end()
    await (await second).end()
    t.equal(asked, true)
  })

  t.test('operations on different things do not wait for each other', async t => {
    const held = await Promise.all([1, 2, 3].map(() => engine.enter(access, fence())))
    t.equal(held.length, 3)
    for (const session of held) await session.end()
  })
}

async function dropping(t: Test, running: RunningEngine) {
  const { engine, access } = running

  t.test('a database is dropped whoever is connected, and a second time is OK', async t => {
    const a = await make(running)
    const guests = [
      await running.hold(a.names.database, a.as('app_a')),
      await running.hold(a.names.database, a.as('owner'))
    ]
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.dropDatabase(a.names)
    for (const guest of guests) await guest.ended
    await session.dropDatabase(a.names)
    await session.dropLogins(a.names)
    await session.dropLogins(a.names)
    const { databases, logins } = await engine.inventory(access)
    t.notOk([...databases, ...logins].some(({ name }) => name.startsWith(a.names.database)))
    await session.sealDatabase(a.names)
    await session.closeLogins(a.names, [...loginRoles])
  })

  t.test('a sealed database is dropped', async t => {
    const a = await make(running)
    const session = await engine.enter(access, fence())
    t.teardown(() => session.end())
    await session.sealDatabase(a.names)
    await session.dropDatabase(a.names)
    await session.dropLogins(a.names)
    t.match(await engine.state(access, a.names), { database: 'absent' })
  })
}

async function refusals(t: Test, running: RunningEngine) {
  const { engine, access } = running
  const wrong = { ...access, control: { ...access.control, password: new Secret('not-the-password') } }

  t.test('a wrong password is told apart from a server that is down', async t => {
    await engine.inventory(access)
    await t.rejects(engine.probe(wrong), { code: 'SERVER_DENIED', retryable: false })
    await t.rejects(engine.inventory(wrong), { code: 'SERVER_DENIED' }, 'also while sessions are kept for reuse')
    await t.rejects(engine.probe({ ...access, port: 1 }), {
      code: 'SERVER_UNREACHABLE',
      retryable: true,
      message: new RegExp(`${access.host}:1`)
    })
  })

  t.test('no error holds a password', async t => {
    const error = await engine.probe(wrong).catch(error => error)
    t.notMatch(JSON.stringify(error) + String(error.stack) + String(error.cause), /not-the-password/)
  })

  t.test('plaintext to another machine is refused before anything is sent', async t => {
    await t.rejects(engine.probe({ ...access, host: '192.0.2.1' }), { code: 'INVALID_INPUT', message: /TLS/ })
  })

  t.test('a server that crashed is used again when it is back', async t => {
    const a = await make(running)
    t.teardown(() => drop(running, a))
    const session = await engine.enter(access, fence())
    running.kill()
    await running.restart()
    await t.rejects(session.setLimits(a.names, limits), { code: 'SERVER_UNREACHABLE', retryable: true })
    await session.end()
    t.match(await engine.state(access, a.names), { database: 'open' })
  })
}
