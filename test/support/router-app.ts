import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { EntitySchema } from 'typeorm'
import { fromHeader, type RouterOptions, router } from '../../src/router.js'

/** What the template `tiny` has. */
export interface Note {
  id: number
  body: string
}
export const notes = new EntitySchema<Note>({
  name: 'note',
  tableName: 'notes',
  columns: { id: { type: 'int', primary: true }, body: { type: 'text' } }
})

/** Where a request got to, by the database's own word. */
export interface Where {
  tenant: string
  database: string
  login: string
  port: number
  /** Whether the request began and ended in the same place. */
  same: boolean
}

/**
 * Where a request waits with `?held`: in its database, until whoever holds the key lets it go (`holdRequests` of the router's
 * world).
 */
export const HELD = 'select pg_advisory_xact_lock_shared(4711)'

const place = 'select current_database() as database, session_user as login, inet_server_port() as port'

/** A small application on the router: the same in the test's own process and in a process of its own. */
export async function routerApp(options: Partial<RouterOptions>): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(router, {
    entities: [notes],
    resolve: [fromHeader('x-tenant', { trusted: () => true })],
    pollMs: 500,
    ...options
  })
  app.get<{ Querystring: { seconds?: string; held?: string } }>('/where', async request => {
    const db = await request.tenantDb()
    const [first] = await db.query(place)
    const { seconds, held } = request.query
    if (held !== undefined) await db.query(HELD)
    if (seconds !== undefined) await db.query('select pg_sleep($1::float8)', [seconds])
    const [last] = await db.query(place)
    const same = JSON.stringify(first) === JSON.stringify(last)
    return { tenant: request.tenant.slug, ...last, same } satisfies Where
  })
  // Comes to its database late: it thinks first.
  app.get<{ Querystring: { seconds: string } }>('/late', async request => {
    await sleep(Number(request.query.seconds) * 1000)
    const [where] = await (await request.tenantDb()).query(place)
    return { tenant: request.tenant.slug, ...where, same: true } satisfies Where
  })
  app.get<{ Querystring: { seconds: string } }>('/sleep', async request => {
    await (await request.tenantDb()).query('select pg_sleep($1::float8)', [request.query.seconds])
    return { slept: true }
  })
  app.get('/timeout', async request => {
    const [row] = await (await request.tenantDb()).query('show statement_timeout')
    return { timeout: row.statement_timeout }
  })
  app.get('/plan', request => ({ plan: request.tenant.plan }))
  app.get<{ Querystring: { name: string } }>('/can', request => ({ can: request.tenant.can(request.query.name) }))
  app.get<{ Querystring: { name: string } }>('/limit', request => ({ limit: request.tenant.limit(request.query.name) }))
  return app
}
