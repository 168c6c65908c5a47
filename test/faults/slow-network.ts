import t from 'tap'
import type { SaasctlError } from '../../src/errors.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { badRoad } from '../support/lose-each.js'
import { proxyTo, through } from '../support/proxy.js'
import { newSlug } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { doVerb, type VerbName } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const road = await badRoad()
t.teardown(() => road.close())
const { plane, tenants, proxy } = road
const { saasctl } = plane
const audit = () => fleetAudit(plane, { servers: [tenants] })
const failure = (outcome: Promise<unknown>) =>
  outcome.then(
    () => undefined,
    (error: SaasctlError) => error
  )

/** Does it, and lets something happen to the network when the step is begun for the first time. */
function during(verb: VerbName, argument: Parameters<typeof doVerb>[2], step: string, happen: () => void) {
  let happened = false
  return doVerb(saasctl, verb, argument, line => {
    if (happened || line.step !== step || line.moment !== 'begun') return
    happened = true
    happen()
  })
}

t.test('a server that is far away only takes longer', async t => {
  const slug = newSlug()
  proxy.latency = 15
  await doVerb(saasctl, 'build', {})
  await doVerb(saasctl, 'create', { slug })
  await doVerb(saasctl, 'migrate', { slug, direction: 'down' })
  await doVerb(saasctl, 'purge', { slug })
  proxy.latency = 0
  t.strictSame(await audit(), [])
})

t.test('a server that nobody can reach is said to be so, and nothing is begun', async t => {
  await doVerb(saasctl, 'create', { slug: newSlug() })
  const slug = newSlug()
  proxy.mode = 'closed'
  proxy.cut()
  t.match(await failure(doVerb(saasctl, 'create', { slug })), { code: 'SERVER_UNREACHABLE', hint: /server/ })
  proxy.mode = 'pass'
  await settle(saasctl)
  t.strictSame(await audit(), [], 'the slug is free again')
  await doVerb(saasctl, 'create', { slug })
})

t.test('a server that is away while something is half made is waited for', async t => {
  const slug = newSlug()
  await during('create', { slug }, 'hand over', () => {
    proxy.mode = 'closed'
    proxy.cut()
    setTimeout(() => {
      proxy.mode = 'pass'
    }, 500)
  })
  t.strictSame(await audit(), [])
})

/** Nothing says that such a connection is dead, but that it stays silent: all three take a while to be given up. */
t.test('a network that swallows', { jobs: 3 }, async t => {
  t.test(
    'everything on the way to a server is noticed, and what it cut in two is done',
    { buffered: true },
    async t => {
      const slug = newSlug()
      const outcome = during('create', { slug }, 'copy template', () => {
        proxy.mode = 'silent'
      })
      await proxy.abandoned()
      proxy.mode = 'pass'
      await outcome
      t.strictSame(await audit(), [])
    }
  )

  t.test('one word on the way to a server is noticed, and it is said again', { buffered: true }, async t => {
    const other = await badRoad()
    t.teardown(() => other.close())
    await doVerb(other.plane.saasctl, 'build', {})
    const trap = other.proxy.lose('word', 'CREATE DATABASE')
    await doVerb(other.plane.saasctl, 'create', { slug: newSlug() })
    t.ok(trap.sprung)
    t.strictSame(await fleetAudit(other.plane, { servers: [other.tenants] }), [])
  })

  t.test(
    'everything on the way to the catalog is said in one sentence, and nothing is lost',
    { buffered: true },
    async t => {
      const other = await badRoad()
      t.teardown(() => other.close())
      const { saasctl, env, server, another } = other.plane
      await doVerb(saasctl, 'build', {})
      const toCatalog = await proxyTo(server)
      t.teardown(() => toCatalog.close())
      const distant = await another({ SAASCTL_CATALOG_URL: through(toCatalog, env['SAASCTL_CATALOG_URL'] ?? '') })
      const said = await failure(
        doVerb(distant, 'create', { slug: newSlug() }, line => {
          if (line.step === 'make logins' && line.moment === 'begun') toCatalog.mode = 'silent'
        })
      )
      t.match(said, {
        code: 'CATALOG_UNREACHABLE',
        message: /^The catalog did not answer\. tenant\.create stands where/
      })
      toCatalog.mode = 'pass'
      await settle(saasctl)
      t.strictSame(await fleetAudit(other.plane, { servers: [other.tenants] }), [])
    }
  )
})
