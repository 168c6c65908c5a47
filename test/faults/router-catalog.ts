import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { routerWorld } from '../support/router-world.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { plane, catalog, change } = world
  await Promise.all(['acme', 'globex', 'initech', 'stranger'].map(slug => world.tenant(slug)))

  const ask = async (app: FastifyInstance, slug: string) => {
    const { statusCode: status, headers, body } = await app.inject({ url: '/where', headers: { 'x-tenant': slug } })
    return { status, retryAfter: headers['retry-after'], body: JSON.parse(body) as Record<string, unknown> }
  }
  const becomes = (app: FastifyInstance, slug: string, wanted: number) =>
    eventually(
      () => ask(app, slug),
      ({ status }) => status === wanted
    )

  /** How the catalog goes away and comes back; what changes meanwhile is done when it can be done. */
  const absences = {
    killed: {
      go: async () => plane.server.kill('SIGKILL'),
      return: async (meanwhile: () => Promise<unknown>) => {
        catalog.mode = 'closed'
        await plane.server.restart()
        await meanwhile()
        catalog.mode = 'pass'
      }
    },
    'behind a network that says nothing': {
      go: async () => {
        catalog.mode = 'silent'
      },
      return: async (meanwhile: () => Promise<unknown>) => {
        await meanwhile()
        catalog.mode = 'pass'
      }
    },
    'behind a network that refuses': {
      go: async () => {
        catalog.mode = 'closed'
        catalog.cut()
      },
      return: async (meanwhile: () => Promise<unknown>) => {
        await meanwhile()
        catalog.mode = 'pass'
      }
    }
  }
  for (const [how, absence] of Object.entries(absences)) {
    await t.test(`a catalog that is ${how}: known tenants are served, unknown ones told to come again`, async t => {
      const { app, notices } = await world.app(t)
      const events = () => notices.map(({ event }) => event).filter(event => event.startsWith('catalog.'))
      for (const slug of ['acme', 'globex', 'initech']) t.equal((await ask(app, slug)).status, 200)
      await absence.go()
      await eventually(
        async () => events(),
        said => said.includes('catalog.away')
      )
      for (let asked = 0; asked < 3; asked += 1)
        for (const slug of ['acme', 'globex', 'initech']) t.equal((await ask(app, slug)).status, 200, slug)
      t.match(await ask(app, 'stranger'), { status: 503, retryAfter: /^\d+$/, body: { code: 'CATALOG_UNREACHABLE' } })
      t.strictSame(events(), ['catalog.away'], 'said once')

      await absence.return(async () => {
        await change(`update saasctl.tenant set status = 'suspended' where slug = 'acme'`)
        await change(`update saasctl.tenant set slug = 'globex-corp' where slug = 'globex'`)
      })
      await becomes(app, 'acme', 404)
      await becomes(app, 'globex-corp', 200)
      await becomes(app, 'globex', 404)
      t.equal((await ask(app, 'stranger')).status, 200)
      await eventually(
        async () => events(),
        said => said.at(-1) === 'catalog.back'
      )
      await change(`update saasctl.tenant set status = 'active' where slug = 'acme'`)
      await change(`update saasctl.tenant set slug = 'globex' where slug = 'globex-corp'`)
      await becomes(app, 'acme', 200)
      await becomes(app, 'globex', 200)
    })
  }
}
