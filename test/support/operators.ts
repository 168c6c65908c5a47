import { approvable } from '../../src/approvable.js'
import { listOperators, type OperatorRole } from '../../src/catalog/operators.js'
import type { Follow } from '../../src/operations/operations.js'
import { approve } from '../../src/operators/approvals.js'
import { createOperator } from '../../src/operators/operators.js'
import type { Saasctl } from '../../src/saasctl.js'
import { askErase } from '../../src/tenants/erase.js'

/** The same control plane in the name of an operator with a token; made when there is none of the name yet. */
export async function asOperator(saasctl: Saasctl, name: string, role: OperatorRole = 'admin'): Promise<Saasctl> {
  const known = (await listOperators(saasctl.catalog)).find(one => one.name === name)
  const { id } = known ?? (await createOperator(saasctl, { name, role, lifeSeconds: 3600 })).operator
  const actor = { name, proof: 'proven', operatorId: id } as const
  return { ...saasctl, actor, caller: { actor, role } }
}

/** Two operators erase a tenant: one asks, the other approves. */
export async function eraseAsTwo(saasctl: Saasctl, slug: string, follow: Follow = {}) {
  const asking = await asOperator(saasctl, 'ada')
  const { id } = await askErase(asking, slug, 'asked for by its owner')
  return approve(await asOperator(saasctl, 'grace'), id, approvable, { wait: true, ...follow })
}
