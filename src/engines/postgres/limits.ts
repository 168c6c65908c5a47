import type { DatabaseLimits, DatabaseNames, LoginRole } from '../engine.js'
import { id, literal } from './quote.js'
import type { Session } from './session.js'

/** For the control plane, beside the app's own connections: migration, backup, export and a look. */
const SPARE = 10

/** The app logins share the plan's number while a rotation drains one; the owner of a template works for many copies. */
export const connectionLimits = ({ connections }: DatabaseLimits): Record<LoginRole, number> => ({
  owner: 50,
  app_a: connections,
  app_b: connections,
  readonly: 5
})

/**
 * Puts a plan's limits on the logins and their database, in one transaction. Connections are a wall; the timeouts are
 * advice, because a login may change its own settings (watch from outside); a temporary file limit is a wall again.
 */
export async function setLimits(session: Session, names: DatabaseNames, limits: DatabaseLimits): Promise<void> {
  const bound = connectionLimits(limits)
  const bounded = (['app_a', 'app_b', 'readonly'] as const).map(role => ({ role, login: id(names.logins[role]) }))
  const settings: Array<[string, string | null]> = [
    ['statement_timeout', withUnit(limits.statementTimeoutMs, 'ms')],
    ['idle_in_transaction_session_timeout', withUnit(limits.idleInTransactionMs, 'ms')]
  ]
  if (await maySetTempFileLimit(session)) settings.push(['temp_file_limit', withUnit(limits.tempFileMb, 'MB')])
  const statements = [
    `ALTER DATABASE ${id(names.database)} CONNECTION LIMIT ${limits.connections + SPARE}`,
    ...bounded.map(({ role, login }) => `ALTER ROLE ${login} CONNECTION LIMIT ${bound[role]}`),
    ...bounded.flatMap(({ login }) =>
      settings.map(([name, value]) => {
        const set = value === null ? `RESET ${name}` : `SET ${name} = ${literal(value)}`
        return `ALTER ROLE ${login} IN DATABASE ${id(names.database)} ${set}`
      })
    )
  ]
  await session.run(statements.join(';\n'))
}

/** A capability, not a given: it takes a superuser's `GRANT SET ON PARAMETER temp_file_limit`. */
export async function maySetTempFileLimit(session: Session): Promise<boolean> {
  const [row] = await session.rows<{ may: boolean }>(
    `SELECT pg_catalog.has_parameter_privilege('temp_file_limit', 'SET') AS may`
  )
  return row?.may === true
}

const withUnit = (value: number | null, unit: string): string | null => (value === null ? null : `${value}${unit}`)
