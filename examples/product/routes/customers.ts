import type { FastifyInstance } from 'fastify'
import { type Customer, customers } from '../entities.js'
import { onPage, type Page, page } from '../page.js'
import { id, nullableText, text, words } from '../schemas.js'
import { editorsOnly } from '../users.js'

const customer = { type: 'object', properties: { id, name: text, email: text, country: nullableText, currency: text } }

const newCustomer = {
  type: 'object',
  required: ['name', 'email'],
  properties: {
    name: words(200),
    email: { type: 'string', format: 'email', maxLength: 254 },
    country: { type: 'string', pattern: '^[A-Z]{2}$', nullable: true, default: null },
    currency: { type: 'string', pattern: '^[A-Z]{3}$', default: 'EUR' }
  }
}

export async function customerRoutes(app: FastifyInstance): Promise<void> {
  app.get<{ Querystring: Page }>(
    '/customers',
    { schema: { querystring: page, response: { 200: { type: 'array', items: customer } } } },
    async request => (await request.tenantDb()).getRepository(customers).find(onPage(request.query))
  )

  app.post<{ Body: Omit<Customer, 'id'> }>(
    '/customers',
    { preHandler: editorsOnly, schema: { body: newCustomer, response: { 201: customer } } },
    async (request, reply) => {
      const db = await request.tenantDb()
      return reply.code(201).send(await db.getRepository(customers).save(request.body))
    }
  )
}
