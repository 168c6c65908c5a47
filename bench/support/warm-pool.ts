import { currentPlan, currentTemplate } from '../../src/templates/register.js'
import { fillWarm } from '../../src/templates/warm.js'
import { together } from './measure.js'
import { type BenchPlane, create } from './plane.js'

/** Makes so many databases ready to be claimed, for the template's usual plan. */
export async function fillPool({ saasctl, row }: Pick<BenchPlane, 'saasctl' | 'row'>, count: number): Promise<void> {
  const template = await currentTemplate(saasctl, 'standard')
  const plan = await currentPlan(saasctl, template.definition.defaultPlan)
  const filled = await fillWarm(saasctl, row, template, plan, count)
  await together(filled.length, 2, index => saasctl.operations.wake(filled[index]?.id ?? ''))
}

/** Creates a tenant, and makes sure that its database came from the pool. */
export async function claim(plane: Pick<BenchPlane, 'saasctl'>, slug: string): Promise<void> {
  const { tenant, operation } = await create(plane, slug)
  if (tenant.status !== 'active' || operation.epoch !== 0) throw new Error(`${slug} is not from the pool.`)
}
