import type { FastifyInstance } from 'fastify'

/** For whoever runs the product, and for no tenant. Publish neither to the internet: metrics name the tenants. */
export async function operationRoutes(app: FastifyInstance): Promise<void> {
  app.get('/health', { config: { tenant: false } }, () => ({ status: 'ok' }))

  app.get('/metrics', { config: { tenant: false } }, async (_request, reply) => {
    const { contentType, text } = await app.tenants.metrics()
    return reply.type(contentType).send(text)
  })
}
