import Fastify, { type FastifyInstance } from 'fastify'
import { EntitySchema } from 'typeorm'
import { fromSubdomain, type RouterOptions, router } from '../../src/router.js'
import { cached } from './cached.js'
import { openRedis } from './redis.js'

interface Customer {
  id: string
  name: string
  email: string
}

const customers = new EntitySchema<Customer>({
  name: 'customer',
  tableName: 'customers',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    name: { type: 'text' },
    email: { type: 'text' }
  }
})

const MINUTE = 60

/** Customers, read through Redis. Any number of processes may run it on one Redis. */
export async function cachingApp(
  redisUrl: string,
  options: Pick<RouterOptions, 'config'> = {}
): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(router, { ...options, entities: [customers], resolve: [fromSubdomain('app.example')] })
  const redis = await openRedis(redisUrl, error => app.log.warn(error, 'no Redis'))
  app.addHook('onClose', () => redis.destroy())

  app.get('/customers', request =>
    cached(redis, request.tenant, ['customers'], MINUTE, async () => {
      const db = await request.tenantDb()
      return db.getRepository(customers).find({ order: { id: 'ASC' } })
    })
  )

  // One entry is out of date: it goes by its own key.
  app.post<{ Body: { name: string; email: string } }>('/customers', async (request, reply) => {
    const db = await request.tenantDb()
    const made = await db.getRepository(customers).save(request.body)
    await redis.del(request.tenant.key('customers')).catch(() => {})
    return reply.code(201).send(made)
  })

  // Nobody can say which entries are out of date: all of the tenant's go, and no other tenant's.
  app.post<{ Body: Array<{ name: string; email: string }> }>('/customers/import', async (request, reply) => {
    const db = await request.tenantDb()
    await db.getRepository(customers).insert(request.body)
    await app.tenants.invalidate(request.tenant.id)
    return reply.code(204).send()
  })
  return app
}
