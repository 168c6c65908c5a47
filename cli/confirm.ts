import { SaasctlError } from '../src/errors.js'
import { canAsk } from './can-ask.js'
import type { Flags } from './flags.js'

/** Asks y/N before many tenants change. `--yes` has answered; without a terminal it is CONFIRMATION_NEEDED. */
export async function agree(summary: string, flags: Pick<Flags, 'yes'>): Promise<void> {
  if (flags.yes) return
  if (!canAsk())
    throw new SaasctlError('CONFIRMATION_NEEDED', `${summary} Nobody is there to be asked.`, { hint: 'Add --yes.' })
  const { ask } = await import('./ask.js')
  const answer = await ask(`${summary} Go on? [y/N] `)
  if (!/^y(es)?$/i.test(answer.trim())) throw new SaasctlError('CANCELLED', 'Nothing was changed.')
}

/**
 * Has the name typed of what would be lost; `confirmed` are the names from `--confirm`, `all` those that it takes. `--yes`
 * is not enough here. CONFIRMATION_NEEDED when another name, or nothing, was given.
 */
export async function confirmLoss(loss: string, name: string, confirmed: string[], all = [name]): Promise<void> {
  if (confirmed.includes(name)) return
  const hint = `Add --confirm ${all.join(',')}.`
  if (confirmed.length > 0)
    throw new SaasctlError('CONFIRMATION_NEEDED', `${loss} --confirm names something else.`, { hint })
  if (!canAsk()) throw new SaasctlError('CONFIRMATION_NEEDED', `${loss} Nobody is there to be asked.`, { hint })
  const { ask } = await import('./ask.js')
  const answer = await ask(`${loss}\nType "${name}" to go on: `)
  if (answer.trim() !== name)
    throw new SaasctlError('CONFIRMATION_NEEDED', `That was not "${name}"; nothing was changed.`, { hint })
}
