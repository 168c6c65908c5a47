import type { Finding } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import { isRoleOfOurs, ourForm } from './names.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/** Looks at the tenants' roles and databases from outside for what must not be. */
export async function checkTenants(session: Session): Promise<Finding[]> {
  const findings = [...(await powers(session)), ...(await memberships(session)), ...(await debris(session))]
  return findings.length > 0 ? findings : [ok('tenants', 'No login of a tenant has more than its own database.')]
}

/** A login with an attribute reaches beyond its database. */
async function powers(session: Session): Promise<Finding[]> {
  const roles = await session.rows<{ name: string }>(
    `SELECT rolname::text AS name FROM pg_roles WHERE rolname ~ '^${ourForm}[a-z]*$'
       AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) ORDER BY 1`
  )
  return roles
    .filter(({ name }) => isRoleOfOurs(name))
    .map(({ name }) =>
      wrong(
        'tenants.power',
        `The role "${name}" of a tenant has rights on the whole server.`,
        `ALTER ROLE ${id(name)} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;`
      )
    )
}

/** A role of ours is member of groups of its own database, and its members are of the same. */
async function memberships(session: Session): Promise<Finding[]> {
  const foreign = await session.rows<{ role: string; member: string }>(
    `SELECT r.rolname::text AS role, m.rolname::text AS member FROM pg_auth_members a
     JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
     WHERE m.rolname ~ '^${ourForm}[a-z]*$' AND left(r.rolname, 27) <> left(m.rolname, 27) ORDER BY 1, 2`
  )
  return foreign
    .filter(({ member }) => isRoleOfOurs(member))
    .map(({ role, member }) =>
      wrong(
        'tenants.membership',
        `The role "${member}" of a tenant is a member of "${role}", which is not of its database.`,
        `REVOKE ${id(role)} FROM ${id(member)};`
      )
    )
}

async function debris(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database WHERE datconnlimit = -2 ORDER BY 1`
  )
  return rows.map(({ name }) =>
    warning('tenants.debris', `A drop of database "${name}" was cut short.`, `DROP DATABASE ${id(name)};`)
  )
}
