import type { Finding } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import { id } from './quote.js'
import type { Session } from './session.js'

interface Control {
  name: string
  super: boolean
  createdb: boolean
  createrole: boolean
  signal: boolean
  temp_file_limit: boolean
}

const CONTROL = `
  SELECT rolname::text AS name, rolsuper AS super, rolcreatedb AS createdb, rolcreaterole AS createrole,
    pg_has_role('pg_signal_backend', 'USAGE') AS signal,
    has_parameter_privilege('temp_file_limit', 'SET') AS temp_file_limit
  FROM pg_roles WHERE rolname = current_user`

/** The recipe is the same on 15 and on 16+, where CREATEROLE reaches only the roles that control made itself. */
export async function checkControl(session: Session): Promise<Finding[]> {
  const [control] = await session.rows<Control>(CONTROL)
  if (!control) return []
  const login = id(control.name)
  const need = (has: boolean, code: string, right: string, fix: string) =>
    has ? ok(code, `The control login has ${right}.`) : wrong(code, `The control login lacks ${right}.`, fix)
  return [
    need(control.createdb || control.super, 'control.createdb', 'CREATEDB', `ALTER ROLE ${login} CREATEDB;`),
    need(control.createrole || control.super, 'control.createrole', 'CREATEROLE', `ALTER ROLE ${login} CREATEROLE;`),
    need(control.signal, 'control.signal', 'pg_signal_backend', `GRANT pg_signal_backend TO ${login};`),
    control.super
      ? warning(
          'control.superuser',
          'The control login is a superuser: it needs no such power, and what steals it has the whole server.',
          `ALTER ROLE ${login} NOSUPERUSER CREATEDB CREATEROLE; GRANT pg_signal_backend TO ${login};`
        )
      : ok('control.superuser', 'The control login is no superuser.'),
    control.temp_file_limit
      ? ok('control.temp_file_limit', 'A plan may bound temporary files.')
      : warning(
          'control.temp_file_limit',
          'The control login may not bound temporary files: one tenant’s query can fill the disk.',
          `GRANT SET ON PARAMETER temp_file_limit TO ${login};`
        )
  ]
}
