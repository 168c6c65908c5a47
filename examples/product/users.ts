import type { FastifyRequest } from 'fastify'
import { type User, users } from './entities.js'
import { Problem } from './problem.js'

/**
 * The user that the token names, from the tenant's own database; null for one who is not there. The token proves who somebody
 * is; what they may do is the tenant's to say, and takes effect at once.
 */
export async function userOf(request: FastifyRequest): Promise<User | null> {
  const id = request.tenantIdentity?.userId
  if (id === undefined || !/^[1-9]\d{0,17}$/.test(id)) return null
  return (await request.tenantDb()).getRepository(users).findOneBy({ id, active: true })
}

/** A preHandler for routes that change something: guests only look. */
export async function editorsOnly(request: FastifyRequest): Promise<void> {
  const user = await userOf(request)
  if (!user || user.role === 'guest') throw new Problem(403, 'NOT_ALLOWED', 'Only owners and members may change this.')
}
