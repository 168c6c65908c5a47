import { planRollout, type RolloutWish } from '../../src/rollouts/plan.js'
import { type RolloutSettings, usualSettings } from '../../src/rollouts/settings.js'
import type { Saasctl } from '../../src/saasctl.js'

/** The whole fleet of the tiny template, up to its newest file. */
export function tinyWish(more: Partial<RolloutWish> = {}, settings: Partial<RolloutSettings> = {}): RolloutWish {
  return {
    template: 'tiny',
    selector: {},
    wholeFleet: true,
    direction: 'up',
    to: null,
    allow: [],
    settings: { ...usualSettings, ...settings },
    ...more
  }
}

/** Plans it; there must be something to do. */
export async function planned(saasctl: Saasctl, ...wish: Parameters<typeof tinyWish>): Promise<string> {
  const { id } = await planRollout(saasctl, tinyWish(...wish))
  if (id === undefined) throw new Error('There was nothing to do.')
  return id
}
