import { SaasctlError } from './errors.js'
import type { CarryOut } from './operators/approvals.js'

const table: Record<string, () => Promise<CarryOut>> = {
  'hold.set': async () => (await import('./tenants/hold.js')).carryOutHold,
  'hold.release': async () => (await import('./tenants/hold.js')).carryOutRelease,
  'tenant.erase': async () => (await import('./tenants/erase.js')).carryOutErase
}

/** Everything that takes two operators, loaded when it is approved. */
export async function approvable(action: string): Promise<CarryOut> {
  const load = table[action]
  if (load) return load()
  throw new SaasctlError('APPROVAL_STATE', `This program does not know how to do ${action}.`, {
    hint: 'A newer saasctl has asked for it; approve it with that one.'
  })
}
