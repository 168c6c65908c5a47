import type { Finding, ServerAccess } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import { ourForm, ourPattern, recordsOf } from './names.js'
import { id, literal } from './quote.js'
import type { Session } from './session.js'

/** Who gets in without being asked who, and over which wire. */
export async function checkDoors(session: Session, server: ServerAccess): Promise<Finding[]> {
  return [...(await anonymous(session)), ...(await wildcards(session)), await wire(session, server)]
}

/** An anonymous login at a host of its own is chosen before ours at `%`, whoever the client says it is. */
async function anonymous(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ host: string }>(`SELECT Host AS host FROM mysql.user WHERE User = '' ORDER BY 1`)
  if (rows.length === 0) return [ok('doors.anonymous', 'There is no anonymous login.')]
  return rows.map(({ host }) =>
    wrong(
      'doors.anonymous',
      `Anybody may log in from "${host}" without a name, and is taken for the anonymous login there.`,
      `DROP USER ''@${literal(host)};`
    )
  )
}

/**
 * Rights that reach a tenant's database though they do not name it. `_` and `%` are wildcards here; `test%` for everybody
 * is what older installations begin with. Control's own patterns end at names as long as ours.
 */
async function wildcards(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ db: string; user: string; host: string; ours: number }>(
    `SELECT Db AS db, User AS user, Host AS host, ? LIKE Db OR ? LIKE Db AS ours FROM mysql.db
     WHERE NOT (User = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND Db IN (?, ?))
       AND (User = '' OR ((? LIKE Db OR ? LIKE Db) AND Db NOT REGEXP ?)) ORDER BY 1, 2, 3`,
    [...examples, ourPattern, recordsOf(ourPattern), ...examples, `^${ourForm}(ctl)?$`]
  )
  if (rows.length === 0) return [ok('doors.wildcards', 'No right on a pattern of names reaches a tenant’s database.')]
  return rows.map(({ db, user, host, ours }) => {
    const who = user === '' ? 'Everybody' : `The login "${user}"@"${host}"`
    const fix =
      user === ''
        ? `DELETE FROM mysql.db WHERE Db = ${literal(db)} AND User = '' AND Host = ${literal(host)}; FLUSH PRIVILEGES;`
        : `REVOKE ALL PRIVILEGES ON ${id(db)}.* FROM ${literal(user)}@${literal(host)};`
    const message = `${who} has rights on every database whose name is like "${db}"`
    // A pattern that is exactly ours is another control login's: that of a catalog beside this one, or a former one.
    return ours && ![ourPattern, recordsOf(ourPattern)].includes(db)
      ? wrong('doors.wildcards', `${message}: those of tenants too.`, fix)
      : warning('doors.wildcards', `${message}.`, fix)
  })
}

/** Names of our form, for trying patterns. */
const example = `t0${'v'.repeat(25)}`
const examples = [example, recordsOf(example)]

async function wire(session: Session, { host, tls }: ServerAccess): Promise<Finding> {
  if (tls.mode === 'verify-full') {
    return ok(
      'wire.tls',
      'The connection is encrypted and the server’s name was checked; tenants’ logins must do the same.'
    )
  }
  const [row] = await session.rows<{ Value: string }>(`SHOW STATUS LIKE 'Ssl_server_not_after'`)
  const state = row?.Value ? 'is on' : 'is off'
  return ok('wire.tls', `The connection to ${host} does not leave this machine; TLS ${state} on the server.`)
}
