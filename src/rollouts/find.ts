import type { Queryable } from '../catalog/catalog.js'
import { type RolloutRow, rolloutById } from '../catalog/rollouts.js'
import { SaasctlError } from '../errors.js'
import { isUuid, quoteInput } from '../names.js'
import type { KeptFiles } from './schema.js'
import type { RolloutSettings } from './settings.js'

/** The rollout; ROLLOUT_NOT_FOUND says where to look. */
export async function mustFindRollout(q: Queryable, id: string): Promise<RolloutRow<RolloutSettings, KeptFiles>> {
  const found = isUuid(id) ? await rolloutById<RolloutSettings, KeptFiles>(q, id) : undefined
  if (found) return found
  throw new SaasctlError('ROLLOUT_NOT_FOUND', `There is no rollout ${quoteInput(id)}.`, {
    hint: 'List them with "saasctl rollout list".'
  })
}
