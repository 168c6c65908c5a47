import type { Finding, ServerAccess } from '../engine.js'
import { checkControl } from './check-control.js'
import { checkDoors } from './check-doors.js'
import { checkSettings } from './check-settings.js'
import { checkTenants } from './check-tenants.js'
import type { Session } from './session.js'

/** Everything that `server check` says, each with the statement that mends it. Reads only. */
export async function check(session: Session, server: ServerAccess): Promise<Finding[]> {
  const control = await checkControl(session)
  // Who may not read the tables of rights cannot be told what stands in them.
  if (control.some(({ code, level }) => code === 'control.grants' && level === 'error')) return control
  return [
    ...control,
    ...(await checkDoors(session, server)),
    ...(await checkSettings(session)),
    ...(await checkTenants(session))
  ]
}
