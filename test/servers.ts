import { createServer } from 'node:net'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { insertDatabase } from '../src/catalog/databases.js'
import { listServers, serverByName, takePlace } from '../src/catalog/servers.js'
import { newestTemplate } from '../src/catalog/templates.js'
import { findTenant } from '../src/catalog/tenants.js'
import { serverAccess } from '../src/databases/access.js'
import type { SaasctlError } from '../src/errors.js'
import { uuidv7 } from '../src/names.js'
import { Secret } from '../src/secret.js'
import { addServer, type NewServer } from '../src/servers/add.js'
import { checkServer, cordonServer, removeServer, uncordonServer, updateServer } from '../src/servers/change.js'
import { findServer } from '../src/servers/find.js'
import { buildTemplate } from '../src/templates/build-template.js'
import { dropTemplate } from '../src/templates/drop-template.js'
import { createTenant, type NewTenant } from '../src/tenants/create.js'
import { migrateTenant } from '../src/tenants/migrate.js'
import { purgeTenant } from '../src/tenants/purge.js'
import { suspendTenant } from '../src/tenants/suspend.js'
import { controlPlane } from './support/control-plane.js'
import { asSuperuser, controlLogin, skipWithoutPostgres, startServer, type TestServer } from './support/servers.js'
import { settle } from './support/settle.js'
import { tinyTemplate } from './support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ addServer: false, env: template.env })
  t.teardown(() => plane.close())
  const second = await startServer()
  t.teardown(() => second.stop())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const logins = new Map([
    [plane.server, await controlLogin(plane.server)],
    [second, await controlLogin(second)]
  ])
  const wish = (name: string, server: TestServer, more: Partial<NewServer> = {}): NewServer => {
    const { login = '', password = '' } = logins.get(server) ?? {}
    return {
      name,
      engine: 'postgres',
      host: server.host,
      port: server.port,
      login,
      password: new Secret(password),
      ...more
    }
  }
  const create = (slug: string, more: Partial<NewTenant> = {}) =>
    createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, wait)

  async function refusal(t: Test, promise: Promise<unknown>): Promise<SaasctlError> {
    const error = (await promise.then(
      () => undefined,
      (thrown: unknown) => thrown
    )) as SaasctlError | undefined
    if (!error?.code) throw error ?? new Error('It was accepted.')
    t.match(error.message, /^[A-Z“"][^\n]*\.$/)
    return error
  }

  t.test('with no server a tenant cannot be made, and the error says what to do', async t => {
    await t.rejects(create('early'), {
      code: 'NO_SERVER',
      exit: 6,
      message: 'There is no server yet.',
      hint: 'Add one with "saasctl server add".'
    })
  })

  t.test('a server is added after a look at it; the password is sealed and told to nobody', async t => {
    const { server, findings } = await addServer(
      saasctl,
      wish('main', plane.server, { region: 'eu', labels: { rack: '7' } })
    )
    t.match(server, {
      name: 'main',
      status: 'active',
      region: 'eu',
      labels: { rack: '7' },
      capacity: null,
      databases: 0
    })
    t.match(server.facts, { version: plane.server.version, major: plane.server.major, flavour: 'postgres' })
    t.notOk(findings.some(({ level }) => level === 'error'))
    const { password = '' } = logins.get(plane.server) ?? {}
    t.equal((await serverAccess(saasctl.keys, server)).control.password.reveal(), password)
    const events = await catalog.query(
      `select body, payload from saasctl.audit_event join saasctl.audit_payload using (chain, seq) where chain = 'server'`
    )
    t.equal(events.length, 1)
    t.notMatch(inspect([server, events], { depth: 9 }), password)
    t.strictSame((await checkServer(saasctl, 'main')).findings, findings)
  })

  t.test('a name is one server’s, also when two add it at the same moment', async t => {
    const taken = { code: 'SERVER_EXISTS', exit: 6, message: 'There is a server named main already.' }
    await t.rejects(addServer(saasctl, wish('main', second)), taken)
    const both = await Promise.allSettled([
      addServer(saasctl, wish('twin', second)),
      addServer(saasctl, wish('twin', second))
    ])
    t.equal(both.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of both) if (one.status === 'rejected') t.match(one.reason, { code: 'SERVER_EXISTS' })
    await removeServer(saasctl, 'twin')
    for (const name of ['Main', 'ma in', '', 'x'.repeat(64), 'eu_1']) {
      await t.rejects(addServer(saasctl, wish(name, second)), { code: 'INVALID_INPUT' }, name)
    }
    await t.rejects(addServer(saasctl, wish('odd', second, { labels: { 'No Key': 'x' } })), { code: 'INVALID_INPUT' })
  })

  t.test('a control login that lacks a right is told which, with the statement that grants it', async t => {
    const { login = '' } = logins.get(second) ?? {}
    const take = {
      CREATEDB: `alter role ${login} nocreatedb`,
      CREATEROLE: `alter role ${login} nocreaterole`,
      pg_signal_backend: `revoke pg_signal_backend from ${login}`
    }
    const rights = Object.keys(take) as Array<keyof typeof take>
    for (const lacking of [...rights.map(right => [right]), rights]) {
      await asSuperuser(second, async client => {
        for (const right of lacking) await client.query(take[right])
      })
      const error = await refusal(t, addServer(saasctl, wish('weak', second)))
      t.match({ code: error.code, exit: error.exit }, { code: 'SERVER_RIGHTS', exit: 1 })
      for (const right of rights)
        t.equal(error.message.includes(right), lacking.includes(right), `${right} is told when it is missing`)
      t.equal(await serverByName(catalog, 'weak'), undefined, 'nothing is written')
      await asSuperuser(second, async client => void (await client.query(error.hint ?? '')))
      await addServer(saasctl, wish('weak', second))
      await removeServer(saasctl, 'weak')
    }
  })

  t.test('a server that is not there, not PostgreSQL or not to be trusted is not added', async t => {
    const other = createServer(socket =>
      socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    )
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    t.teardown(() => other.close())
    const { port } = other.address() as { port: number }
    const canary = 'canary-of-a-password'
    const wrong: Array<[code: string, more: Partial<NewServer>]> = [
      ['SERVER_UNREACHABLE', { port: 1 }],
      ['SERVER_UNREACHABLE', { port }],
      ['SERVER_UNREACHABLE', { host: 'nowhere.invalid' }],
      ['SERVER_DENIED', { password: new Secret(canary) }],
      ['SERVER_DENIED', { login: 'nobody' }],
      ['SERVER_DENIED', { tls: { mode: 'verify-full' } }],
      ['INVALID_INPUT', { host: '192.0.2.1', tls: { mode: 'disable' } }]
    ]
    for (const [code, more] of wrong) {
      const error = await refusal(t, addServer(saasctl, wish('bad', second, more)))
      t.equal(error.code, code, inspect(more))
      t.notMatch(inspect(error, { depth: 9 }), canary)
    }
    t.strictSame(
      (await listServers(catalog)).map(({ name }) => name),
      ['main'],
      'nothing of them is written'
    )
  })

  t.test('a new address or password is tried before it is written', async t => {
    await addServer(saasctl, wish('second', second, { region: 'us' }))
    const before = await serverByName(catalog, 'second')
    await t.rejects(updateServer(saasctl, 'second', { port: 1 }), { code: 'SERVER_UNREACHABLE' })
    await t.rejects(updateServer(saasctl, 'second', { password: new Secret('wrong'), region: 'mars' }), {
      code: 'SERVER_DENIED'
    })
    await t.rejects(updateServer(saasctl, 'nowhere', { capacity: 1 }), {
      code: 'SERVER_NOT_FOUND',
      exit: 5,
      hint: 'The servers are: main, second.'
    })
    await t.rejects(updateServer(saasctl, 'second', { host: '0.0.0.0' }), {
      code: 'SERVER_DENIED',
      message: /SSL/
    })
    t.strictSame(await serverByName(catalog, 'second'), before, 'what did not work changed nothing')
    const { login = '' } = logins.get(second) ?? {}
    await asSuperuser(second, client => client.query(`alter role ${login} password 'another'`))
    await updateServer(saasctl, 'second', { password: new Secret('another'), capacity: 7, labels: { a: 'b' } })
    logins.set(second, { login, password: 'another' })
    t.match(await serverByName(catalog, 'second'), { capacity: 7, region: 'us', labels: { a: 'b' } })
    t.equal((await checkServer(saasctl, 'second')).server.name, 'second', 'the new password is the one that is used')
    await updateServer(saasctl, 'second', { capacity: null })
    t.equal((await serverByName(catalog, 'second'))?.capacity, null, 'null is no bound')
  })

  t.test('what all routers together may hold is changed by name, and the auditors can read by whom', async t => {
    t.equal((await serverByName(catalog, 'second'))?.routerConnections, 80)
    await updateServer(saasctl, 'second', { routerConnections: 150 })
    t.equal((await serverByName(catalog, 'second'))?.routerConnections, 150)
    for (const routerConnections of [1, 0, -3, 1.5, 1e9]) {
      await t.rejects(updateServer(saasctl, 'second', { routerConnections }), { code: 'INVALID_INPUT', exit: 2 })
    }
    const [event] = await catalog.query(
      `select p.payload::jsonb as payload from saasctl.audit_event e join saasctl.audit_payload p using (chain, seq)
       where e.action = 'server.update' order by e.seq desc limit 1`
    )
    t.strictSame(event, { payload: { routerConnections: 150 } })
  })

  t.test('a control password copied to another server’s row opens nothing', async t => {
    const { id, controlPassword = Buffer.of() } = (await serverByName(catalog, 'second')) ?? {}
    await catalog.query(
      `update saasctl.server set control_password = (select control_password from saasctl.server where name = 'main') where id = $1`,
      [id]
    )
    await t.rejects(checkServer(saasctl, 'second'), { code: 'KEY_WRONG' })
    await catalog.query('update saasctl.server set control_password = $2 where id = $1', [id, controlPassword])
    t.equal((await checkServer(saasctl, 'second')).server.name, 'second')
  })

  t.test('tenants go to the least loaded server, by the share of what each may hold', async t => {
    await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, wait)
    await updateServer(saasctl, 'main', { capacity: 10 })
    await updateServer(saasctl, 'second', { capacity: 20 })
    const places: string[] = []
    for (let index = 0; index < 6; index += 1) places.push((await create(`spread-${index}`)).tenant.server ?? '')
    t.strictSame(places, ['second', 'main', 'second', 'second', 'main', 'second'])
    const [main, other] = await listServers(catalog)
    t.match(
      [main, other],
      [
        { name: 'main', databases: 3 },
        { name: 'second', databases: 5 }
      ],
      'templates count too'
    )
  })

  t.test('a tenant goes where it is asked to go, and nowhere else', async t => {
    t.equal((await create('on-main', { server: 'main' })).tenant.server, 'main')
    t.equal((await create('in-eu', { region: 'eu' })).tenant.server, 'main')
    t.equal((await create('in-us', { region: 'us', server: 'second', engine: 'postgres' })).tenant.server, 'second')
    const nowhere: Array<[more: Partial<NewTenant>, code: string, message: RegExp]> = [
      [{ region: 'mars' }, 'NO_SERVER', /No server fits region mars/],
      [{ region: 'us', server: 'main' }, 'NO_SERVER', /No server fits server main, region us/],
      [{ engine: 'mysql' }, 'NO_SERVER', /No server fits engine mysql and the template’s engines \(postgres\)\./],
      [{ server: 'third' }, 'SERVER_NOT_FOUND', /There is no server "third"/]
    ]
    for (const [more, code, message] of nowhere) {
      const error = await refusal(t, create('nowhere', more))
      t.match({ code: error.code, message: error.message }, { code, message })
    }
    t.equal(await findTenant(catalog, 'nowhere'), undefined)
  })

  t.test('a cordoned server takes no new tenant, and works for those it has', async t => {
    t.equal((await cordonServer(saasctl, 'second')).status, 'cordoned')
    t.equal((await cordonServer(saasctl, 'second')).status, 'cordoned', 'twice is OK')
    t.equal((await create('elsewhere')).tenant.server, 'main')
    await t.rejects(create('refused', { server: 'second' }), {
      code: 'NO_SERVER',
      message: 'No server can take another database: second is cordoned.'
    })
    t.equal((await suspendTenant(saasctl, 'in-us', wait)).tenant.status, 'suspended')
    t.equal(
      (await migrateTenant(saasctl, 'in-us', { direction: 'down', to: null }, wait)).tenant.migration,
      '0001_grown'
    )
    await uncordonServer(saasctl, 'second')
    t.equal((await create('welcome', { server: 'second' })).tenant.server, 'second')
  })

  t.test('a full server takes nobody, and the error counts', async t => {
    const { databases = 0 } = (await serverByName(catalog, 'main')) ?? {}
    await updateServer(saasctl, 'main', { capacity: databases })
    t.equal((await create('overflow')).tenant.server, 'second')
    await cordonServer(saasctl, 'second')
    await t.rejects(create('refused'), {
      code: 'NO_SERVER',
      message: `No server can take another database: main is full (${databases} of ${databases}), second is cordoned.`
    })
    await uncordonServer(saasctl, 'second')
    await updateServer(saasctl, 'main', { capacity: databases + 3 })
    const all = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => create(`rush-${index}`, { server: 'main' }))
    )
    t.equal(all.filter(({ status }) => status === 'fulfilled').length, 3, 'many at once do not take more than there is')
    t.equal((await serverByName(catalog, 'main'))?.databases, databases + 3)
    await purgeTenant(saasctl, 'on-main', wait)
    t.equal(
      (await create('after-purge', { server: 'main' })).tenant.server,
      'main',
      'a place that is given back is taken'
    )
  })

  t.test('a server with room for a template but for no tenant is passed over', async t => {
    await addServer(saasctl, wish('tight', second, { capacity: 1 }))
    await updateServer(saasctl, 'main', { capacity: 100 })
    t.not((await create('roomy')).tenant.server, 'tight')
    await t.rejects(create('squeezed', { server: 'tight' }), { code: 'NO_SERVER', message: /tight/ })
    await updateServer(saasctl, 'tight', { capacity: 2 })
    t.equal((await create('squeezed', { server: 'tight' })).tenant.server, 'tight')
  })

  t.test('a server that holds databases is not removed, and names some of whom it would strand', async t => {
    const error = await refusal(t, removeServer(saasctl, 'tight'))
    t.match(
      { code: error.code, exit: error.exit, message: error.message },
      { code: 'SERVER_IN_USE', exit: 6, message: /still holds 2 databases, among them squeezed/ }
    )
    await purgeTenant(saasctl, 'squeezed', wait)
    await t.rejects(removeServer(saasctl, 'tight'), { code: 'SERVER_IN_USE', message: /templates and warm ones/ })
    await t.rejects(dropTemplate(saasctl, 'tiny', { server: 'nowhere' }, wait), { code: 'SERVER_NOT_FOUND' })
    await createTenant(saasctl, { slug: 'copying', server: 'tight' }, { template: 'tiny' }, { wait: false })
    await t.rejects(dropTemplate(saasctl, 'tiny', { server: 'tight' }, wait), {
      code: 'OPERATION_STATE',
      message: 'Template tiny is being copied on server tight.'
    })
    await settle(saasctl)
    await purgeTenant(saasctl, 'copying', wait)
    await updateServer(saasctl, 'tight', { capacity: 4 })
    await buildTemplate(saasctl, 'tiny', { again: false, server: 'tight', warm: 2 }, wait)
    t.equal(await dropTemplate(saasctl, 'tiny', { server: 'tight' }, wait), 3, 'the template and its warm databases')
    t.equal((await create('stays', { server: 'main' })).tenant.status, 'active', 'other servers keep theirs')
    t.equal((await removeServer(saasctl, 'tight')).status, 'removed')
    await t.rejects(findServer(catalog, 'tight'), { code: 'SERVER_NOT_FOUND' })
    t.equal((await addServer(saasctl, wish('tight', second))).server.name, 'tight', 'the name is free again')
  })

  t.test('a server is not removed while somebody is just taking a place on it', async t => {
    const server = await findServer(catalog, 'tight')
    const { id: templateId = '' } = (await newestTemplate(catalog, 'tiny')) ?? {}
    let removing: Promise<unknown> = Promise.resolve()
    const id = uuidv7()
    await catalog.transaction(saasctl.actor, async tx => {
      t.equal(await takePlace(tx, server.id), true)
      removing = removeServer(saasctl, 'tight')
      removing.catch(() => {})
      await blocked()
      const limits = { connections: 2, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null }
      await insertDatabase(tx, {
        id,
        serverId: server.id,
        name: 'tsoon',
        kind: 'tenant',
        templateId,
        limits,
        profile: 'p'
      })
    })
    await t.rejects(removing, { code: 'SERVER_IN_USE' })
    t.equal((await findServer(catalog, 'tight')).status, 'active')
    await catalog.query('delete from saasctl.database where id = $1', [id])
    await catalog.query('update saasctl.server set databases = 0 where id = $1', [server.id])
    await removeServer(saasctl, 'tight')
  })

  async function blocked(): Promise<void> {
    for (;;) {
      const waiting = await plane.catalogAsSuperuser(client =>
        client.query(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)
      )
      if (waiting.rowCount) return
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  t.test('a server that is down fails what needs it, soon and cleanly, and nothing else', async t => {
    second.kill('SIGQUIT')
    await t.rejects(create('unlucky', { server: 'second' }), { code: 'SERVER_UNREACHABLE' })
    t.equal(await findTenant(catalog, 'unlucky'), undefined, 'the tenant that could not be made is gone')
    t.equal((await create('lucky', { server: 'main' })).tenant.status, 'active')
    await t.rejects(checkServer(saasctl, 'second'), { code: 'SERVER_UNREACHABLE' })
    t.equal((await cordonServer(saasctl, 'second')).status, 'cordoned', 'it can be taken out while it is down')
    await second.restart()
    await uncordonServer(saasctl, 'second')
    t.equal(
      (await create('unlucky', { server: 'second' })).tenant.status,
      'active',
      'and its slug was kept back from nobody'
    )
    await settle(saasctl)
  })
}
