import type { FastifyInstance } from 'fastify'
import { userOf } from '../users.js'

/** What a front end asks first: who is it, for which tenant, and what may be shown to them. */
export async function meRoute(app: FastifyInstance): Promise<void> {
  app.get('/me', async request => {
    const { tenant } = request
    const user = await userOf(request)
    return {
      user: user && { id: user.id, name: user.name, email: user.email, role: user.role },
      tenant: { id: tenant.id, slug: tenant.slug, plan: tenant.plan },
      features: { sso: tenant.can('sso'), export: tenant.can('export'), customDomain: tenant.can('customDomain') },
      limits: { users: tenant.limit('users'), projects: tenant.limit('projects') }
    }
  })
}
