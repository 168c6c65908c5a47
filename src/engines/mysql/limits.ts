import type { DatabaseLimits, DatabaseNames, LoginRole } from '../engine.js'
import { account } from './quote.js'
import type { Session } from './session.js'

/** What an app login may have beyond its plan: a KILL needs a connection of its own, and is needed most when all are busy. */
export const SPARE = 1

/** The app logins share the plan's number while a rotation drains one; the owner of a template works for many copies. */
const connectionLimits = ({ connections }: DatabaseLimits): Record<LoginRole, number> => ({
  owner: 50,
  app_a: connections + SPARE,
  app_b: connections + SPARE,
  readonly: 5
})

/**
 * What CREATE and ALTER USER are told of a login's limits. Connections are a wall. MariaDB ends statements after a time of
 * the login's own, which it may set aside for its session; MySQL has no such limit for a login, so the router sets one.
 */
export function resources(session: Session, role: LoginRole, limits: DatabaseLimits): string {
  const connections = `MAX_USER_CONNECTIONS ${connectionLimits(limits)[role]}`
  if (session.flavour !== 'mariadb') return `WITH ${connections}`
  const seconds = role === 'owner' ? 0 : (limits.statementTimeoutMs ?? 0) / 1000
  return `WITH ${connections} MAX_STATEMENT_TIME ${seconds}`
}

/** Puts a plan's limits on the app and read-only logins; sessions that are there keep those that they began with. */
export async function setLimits(session: Session, names: DatabaseNames, limits: DatabaseLimits): Promise<void> {
  for (const role of ['app_a', 'app_b', 'readonly'] as const) {
    await session.run(`ALTER USER ${account(names.logins[role])} ${resources(session, role, limits)}`)
  }
}
