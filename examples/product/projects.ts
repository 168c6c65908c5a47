import type { Tenant } from 'saasctl/router'
import type { EntityManager } from 'typeorm'
import { customers, type Project, projects } from './entities.js'
import { Problem } from './problem.js'

export interface NewProject {
  name: string
  customerId?: string | null
}

/** Makes a project if the tenant's plan has room for one more. Call it in a transaction. */
export async function addProject(manager: EntityManager, tenant: Tenant, wish: NewProject): Promise<Project> {
  const { name, customerId = null } = wish
  const limit = tenant.limit('projects')
  if (limit !== null) {
    // Of two who add at the same time the second counts after the first, so both cannot take the last place: they meet at the
    // settings, which every tenant has. Counted by locks, because MySQL would count what was there when the transaction began.
    await manager.query('select name from settings order by name for update')
    const lock = { mode: 'pessimistic_read' } as const
    if ((await manager.find(projects, { select: { id: true }, lock })).length >= limit) {
      throw new Problem(402, 'PLAN_LIMIT', `The plan ${tenant.plan} has room for ${limit} projects.`)
    }
  }
  if (customerId !== null && !(await manager.existsBy(customers, { id: customerId }))) {
    throw new Problem(422, 'UNKNOWN_CUSTOMER', `There is no customer ${customerId}.`)
  }
  return manager.save(projects, { name, customerId, status: 'open' as const })
}
