import type { Queryable } from './catalog.js'

/** How many databases are to be kept ready. */
export interface WarmTarget {
  template: string
  serverId: string
  plan: string
  wanted: number
}

export async function setWarmTarget(q: Queryable, target: WarmTarget): Promise<void> {
  await q.query(
    `insert into saasctl.warm_target (template, server_id, plan, wanted) values ($1, $2, $3, $4)
     on conflict (template, server_id, plan) do update set wanted = excluded.wanted`,
    [target.template, target.serverId, target.plan, target.wanted]
  )
}

/** Nothing of this template is kept warm on the server any more. */
export async function forgetWarmTargets(q: Queryable, serverId: string, template: string): Promise<void> {
  await q.query('delete from saasctl.warm_target where server_id = $1 and template = $2', [serverId, template])
}

/** What the workers keep full: the targets on servers that take tenants. */
export async function warmTargets(q: Queryable): Promise<WarmTarget[]> {
  return q.query<WarmTarget>(
    `select w.template, w.server_id as "serverId", w.plan, w.wanted from saasctl.warm_target w
     join saasctl.server s on s.id = w.server_id where s.status = 'active' and w.wanted > 0`
  )
}
