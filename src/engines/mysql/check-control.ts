import type { Finding } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import { ourPattern, recordsOf } from './names.js'
import { controlRights, ownerVerbs, recipe } from './recipe.js'
import type { Session } from './session.js'

/** The control login as the tables of information_schema write it. */
const ME = `CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@', QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)))`

interface Right {
  db: string
  verb: string
  may_grant: number
}

/** The control login has what the recipe gives, in whichever way, and better nothing more. */
export async function checkControl(session: Session): Promise<Finding[]> {
  const rights = await rightsOf(session)
  const statements = recipe(session.flavour, session.place.login)
  const [everywhere = '', grants = '', tenants = '', records = ''] = statements
  const missing = missingOf(rights, session)
  const need = (code: string, what: string, lacking: string[], fix: string) =>
    lacking.length === 0
      ? ok(code, `The control login ${what}.`)
      : wrong(code, `The control login lacks ${lacking.join(', ')}.`, `${fix};`)
  return [
    need('control.rights', 'may make logins and end sessions', missing.everywhere, everywhere),
    need('control.grants', 'may read who has which right', missing.grants, grants),
    need('control.tenants', 'may give tenants their rights', missing.tenants, `${tenants}; ${records}`),
    power(session, rights),
    clock(session)
  ]
}

/** What a plan's limits rest on. */
function clock({ flavour }: Session): Finding {
  if (flavour === 'mariadb') {
    return ok('limits.time', 'The server itself keeps a plan’s limits on statements and idle transactions.')
  }
  return warning(
    'limits.time',
    'MySQL limits the time of a SELECT only: other statements and idle transactions are ended by the router, and not for who comes without it.'
  )
}

/** What the control login lacks of its rights on the whole server, by name. */
export async function missingRights(session: Session): Promise<string[]> {
  return missingOf(await rightsOf(session), session).everywhere
}

function missingOf(rights: Right[], { flavour }: Session) {
  const has = (verb: string, db: string, grantable = false) =>
    rights.some(
      right =>
        (right.db === '*' || right.db === db) &&
        // MariaDB says ALL PRIVILEGES in no table; SUPER is what came before the finer rights.
        right.verb === verb &&
        (!grantable || Number(right.may_grant) === 1)
    )
  const patterns = [ourPattern, recordsOf(ourPattern)]
  return {
    everywhere: controlRights[flavour].filter(verb => !has(verb, '*')),
    grants: has('SELECT', 'mysql') ? [] : ['SELECT on the database mysql'],
    tenants: patterns.flatMap(pattern =>
      ownerVerbs.filter(verb => !has(verb, pattern, true)).map(verb => `${verb} with GRANT OPTION on ${pattern}`)
    )
  }
}

function power({ place }: Session, rights: Right[]): Finding {
  const much = rights.some(({ db, verb }) => db === '*' && ['SUPER', 'FILE', 'SYSTEM_USER'].includes(verb))
  if (!much) return ok('control.superuser', 'The control login has no power over what is not a tenant’s.')
  return warning(
    'control.superuser',
    'The control login is an administrator: it needs no such power, and what steals it has the whole server.',
    `Make a login of its own: CREATE USER 'saasctl_server'@'%' IDENTIFIED BY '…'; then what \`server check\` asks for, ` +
      `and \`saasctl server update --login saasctl_server\` in the place of "${place.login}".`
  )
}

async function rightsOf(session: Session): Promise<Right[]> {
  return await session.rows<Right>(
    `SELECT '*' AS db, PRIVILEGE_TYPE AS verb, IS_GRANTABLE = 'YES' AS may_grant
       FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = ${ME}
     UNION ALL
     SELECT TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE = 'YES'
       FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = ${ME}`
  )
}
