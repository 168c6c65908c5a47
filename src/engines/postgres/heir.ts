import type { Finding, ServerAccess } from '../engine.js'
import { connect } from './connect.js'
import { isRoleOfOurs } from './names.js'
import { id } from './quote.js'

/** Whether control may give a database to the role, and whether the name is free. */
export async function checkHeir(
  server: ServerAccess,
  { database, name, to }: { database: string; name: string; to: string | null }
): Promise<Finding[]> {
  const error = (code: string, message: string, fix: string): Finding => ({ level: 'error', code, message, fix })
  if (to === null) return [error('release.role', 'It must be somebody’s afterwards.', 'Name a role with --to.')]
  const session = await connect(server, {
    database: server.maintenance,
    as: server.control,
    applicationName: 'saasctl/heir'
  })
  try {
    const [role] = await session.rows<{ superuser: boolean; reachable: boolean }>(
      `SELECT r.rolsuper AS superuser, ${session.major < 16 ? 'm.rolcreaterole' : `pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')`} AS reachable
       FROM pg_catalog.pg_roles r, pg_catalog.pg_roles m WHERE r.rolname = $1 AND m.rolname = current_user`,
      [to]
    )
    const control = server.control.login
    const said: Finding[] = []
    if (!role) said.push(error('release.role', `The server has no role ${to}.`, `CREATE ROLE ${id(to)};`))
    else if (isRoleOfOurs(to) || to === control || role.superuser) {
      said.push(
        error('release.role', `Role ${to} cannot own a database that is given away.`, 'Name another with --to.')
      )
    } else if (!role.reachable) {
      const fix = `GRANT ${id(to)} TO ${id(control)}${session.major < 16 ? '' : ' WITH ADMIN OPTION'};`
      said.push(error('release.member', `Control may not act for role ${to}.`, fix))
    }
    const taken = await session.rows('SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND datname <> $2', [
      name,
      database
    ])
    if (taken.length > 0) {
      said.push(error('release.name', `The server has a database ${name} already.`, 'Name another with --name.'))
    }
    return said
  } finally {
    session.leave()
  }
}
