import Fastify, { type FastifyInstance } from 'fastify'
import { fromJwt, fromSubdomain, type IssuerOptions, logging, type RouterOptions, router } from 'saasctl/router'
import { entities } from './entities.js'
import { customerRoutes } from './routes/customers.js'
import { invoiceRoutes } from './routes/invoices.js'
import { meRoute } from './routes/me.js'
import { operationRoutes } from './routes/operations.js'
import { projectRoutes } from './routes/projects.js'

export interface ProductOptions {
  /** Whose tokens are believed. */
  issuers: IssuerOptions[]
  /** Each tenant has a host of its own below it: acme.DOMAIN. */
  domain: string
  /** Of the log; `info` when not given. */
  level?: string
  /** How to get to the catalog; from the environment when not given. */
  config?: RouterOptions['config']
}

/** Invoices and projects for many companies, each in its own database. Listens nowhere yet; close it to drain. */
export async function product({ issuers, domain, level, config }: ProductOptions): Promise<FastifyInstance> {
  const app = Fastify(logging('product', level === undefined ? {} : { level }))
  await app.register(router, {
    service: 'product',
    entities,
    // A token names the tenant and proves it. A tenant's host may stand beside it, and must then name the same one.
    resolve: [fromJwt('tid', { issuers, by: 'id' }), fromSubdomain(domain)],
    // A tenant that is not migrated so far is told to come again, and never meets SQL that its tables do not know.
    schema: { oldest: '0013_products_price_cents_drop' },
    metrics: true,
    ...(config && { config })
  })
  for (const routes of [operationRoutes, meRoute, customerRoutes, projectRoutes, invoiceRoutes])
    await app.register(routes)
  return app
}
