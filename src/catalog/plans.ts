import type { Queryable } from './catalog.js'

export interface PlanRow<Definition = object> {
  name: string
  checksum: string
  definition: Definition
  revision: number
  updatedAt: Date
}

const columns = 'name, checksum, definition, revision::int, updated_at as "updatedAt"'

export async function listPlans<Definition = object>(q: Queryable): Promise<Array<PlanRow<Definition>>> {
  return q.query<PlanRow<Definition>>(`select ${columns} from saasctl.plan order by name`)
}

export async function planByName<Definition = object>(
  q: Queryable,
  name: string
): Promise<PlanRow<Definition> | undefined> {
  const [row] = await q.query<PlanRow<Definition>>(`select ${columns} from saasctl.plan where name = $1`, [name])
  return row
}

/** Writes the plan when its content is new; true when it changed anything. */
export async function keepPlan(
  q: Queryable,
  plan: { name: string; checksum: string; definition: object }
): Promise<boolean> {
  const rows = await q.query(
    `insert into saasctl.plan (name, checksum, definition) values ($1, $2, $3)
     on conflict (name) do update set checksum = excluded.checksum, definition = excluded.definition,
       revision = saasctl.plan.revision + 1, updated_at = now() where saasctl.plan.checksum <> excluded.checksum
     returning name`,
    [plan.name, plan.checksum, plan.definition]
  )
  return rows.length === 1
}
