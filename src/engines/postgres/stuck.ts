import { SaasctlError } from '../../errors.js'
import type { Finding } from '../engine.js'
import { SCHEMA } from './furnish.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/**
 * What nobody but a superuser can give into other hands, with the statement that does; what is control's, whose hands a
 * tenant's login is never put into; and a schema of our name.
 */
export async function stuckIn(session: Session, control: string, heir = 'A_ROLE_OF_THE_CUSTOMER'): Promise<Finding[]> {
  const stuck = await session.rows<{ type: string; identity: string }>(
    `SELECT i.type, i.identity FROM (
       SELECT 'pg_class'::regclass::oid AS classid, oid, relowner AS owner, relnamespace AS space FROM pg_class
         WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, pronamespace FROM pg_proc
       UNION ALL SELECT 'pg_type'::regclass, oid, typowner, typnamespace FROM pg_type WHERE typtype IN ('d', 'e', 'r')
       UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner, oid FROM pg_namespace) o
     JOIN pg_roles r ON r.oid = o.owner AND (r.rolsuper OR r.rolname = $1) JOIN pg_namespace n ON n.oid = o.space,
     LATERAL pg_identify_object(o.classid, o.oid, 0) i
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
       SELECT FROM pg_depend e WHERE e.classid = o.classid AND e.objid = o.oid AND e.deptype IN ('e', 'a', 'i'))
     ORDER BY i.type <> 'schema', 2 LIMIT 50`,
    [control]
  )
  const found: Finding[] = stuck.map(({ type, identity }) => ({
    level: 'error',
    code: 'adopt.superuser',
    message: `The ${type} ${identity} belongs to a superuser or to control.`,
    fix: `ALTER ${type.toUpperCase()} ${identity} OWNER TO ${id(heir)};`
  }))
  const ours = await session.rows('SELECT FROM pg_namespace WHERE nspname = $1', [SCHEMA])
  if (ours.length === 0) return found
  return [
    ...found,
    {
      level: 'error',
      code: 'adopt.schema',
      message: `It has a schema ${SCHEMA}, which is where our ledger goes.`,
      fix: `ALTER SCHEMA ${SCHEMA} RENAME TO ${SCHEMA}_before;`
    }
  ]
}

/** SERVER_RIGHTS with every statement, when there is one to be run. */
export function refuse(found: Finding[]): void {
  if (found.length === 0) return
  throw new SaasctlError('SERVER_RIGHTS', found.map(({ message }) => message).join(' '), {
    hint: `An administrator runs, in that database: ${found.map(({ fix }) => fix).join(' ')}`,
    data: { lacking: found }
  })
}
