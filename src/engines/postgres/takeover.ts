import { SaasctlError } from '../../errors.js'
import type { Adoption, DatabaseNames, Release, ServerAccess, Takeover } from '../engine.js'
import { connect } from './connect.js'
import { guardDatabase } from './databases.js'
import { type Enter, furniture, inside, SCHEMA, whileMember } from './furnish.js'
import { rolesOf } from './names.js'
import { id, literal } from './quote.js'
import { among, grantAll, notAmong, ownPublic, reOwn, strip } from './re-own.js'
import type { Session } from './session.js'
import { refuse, stuckIn } from './stuck.js'
import { endLateSessions, inDatabase } from './terminate.js'

/** On a group that is there for the time of an adoption. */
const PASSING = 'saasctl: until an adoption is done'

/** In place: objects change hands, the database changes its name. What is in it is read and written by its owner alone. */
export class PostgresTakeover implements Takeover {
  readonly #session: Session
  readonly #control: string
  readonly #enter: Enter

  constructor(session: Session, server: ServerAccess, applicationName: string) {
    this.#session = session
    this.#control = server.control.login
    this.#enter = way => connect(server, { ...way, applicationName })
  }

  /**
   * As a member of those who own things in it, our owner login may do there what they may. Where pg_hba.conf keeps each login
   * to the database of its group, it also has to be in a group that is named like the database.
   */
  async letIn({ names, from }: Adoption): Promise<void> {
    const roles = await this.#foreignOwners(from, names)
    const group = await this.#session.rows('SELECT FROM pg_catalog.pg_roles WHERE rolname = $1', [from])
    if (group.length === 0) {
      await this.#session.run(`CREATE ROLE ${id(from)} NOLOGIN; COMMENT ON ROLE ${id(from)} IS ${literal(PASSING)}`)
    }
    const all = [...new Set([...roles, from])].filter(role => role !== this.#control)
    await this.#session.run(`GRANT ${all.map(id).join(', ')} TO ${id(names.logins.owner)}`)
  }

  async letOut({ names, from }: Adoption): Promise<void> {
    const mine = rolesOf(names)
    const rows = await this.#session.rows<{ role: string }>(
      `SELECT r.rolname::text AS role FROM pg_catalog.pg_auth_members m
       JOIN pg_catalog.pg_roles r ON r.oid = m.roleid JOIN pg_catalog.pg_roles o ON o.oid = m.member
       WHERE o.rolname = $1 AND r.rolname <> ALL ($2)`,
      [names.logins.owner, mine]
    )
    if (rows.length > 0)
      await this.#session.run(`REVOKE ${rows.map(({ role }) => id(role)).join(', ')} FROM ${id(names.logins.owner)}`)
    const made = await this.#session.rows(
      `SELECT FROM pg_catalog.pg_roles WHERE rolname = $1 AND pg_catalog.shobj_description(oid, 'pg_authid') = $2`,
      [from, PASSING]
    )
    if (made.length > 0) await this.#session.run(`DROP ROLE ${id(from)}`)
  }

  /** SERVER_RIGHTS for what an administrator must give out of the hands of superusers. */
  async inspect({ names, from, owner }: Adoption): Promise<void> {
    const session = await this.#enter({ database: from, as: owner })
    try {
      refuse(await stuckIn(session, this.#control, (await this.#foreignOwners(from, names))[0]))
    } finally {
      session.leave()
    }
  }

  async close({ names, from }: Adoption): Promise<void> {
    const owner = await this.#ownerOf(from)
    if (owner === undefined) return
    const mine = names.logins.owner
    const roles = [...new Set([owner, mine])].filter(role => role !== this.#control)
    await whileMember(this.#session, roles, this.#control, async () => {
      await this.#session.run(`ALTER DATABASE ${id(from)} ALLOW_CONNECTIONS false`)
      await endLateSessions(this.#session, inDatabase(from))
      await this.#session.run(
        `ALTER DATABASE ${id(from)} OWNER TO ${id(mine)}; ALTER DATABASE ${id(from)} RENAME TO ${id(names.database)}`
      )
    })
  }

  /**
   * While the owner login owns the database, it alone may enter, and schema public is its own too. At the end the database
   * is control's, as every other of ours.
   */
  async handOver({ names, databaseId, owner, from }: Adoption): Promise<void> {
    const mine = names.logins.owner
    const database = id(names.database)
    const foreign = await this.#foreignOwners(names.database, names)
    await whileMember(this.#session, [mine], this.#control, async () => {
      // An earlier try may have come to the end, where it is control's.
      await this.#session.run(`ALTER DATABASE ${database} OWNER TO ${id(mine)}`)
      await this.#session.run(await this.#closeToAll(names))
      if (foreign.length > 0) await this.#session.run(`GRANT ${foreign.map(id).join(', ')} TO ${id(mine)}`)
      await inside(
        this.#enter({ database: names.database, as: owner }),
        [
          'BEGIN',
          ownPublic(mine),
          reOwn(foreign, mine),
          strip(mine, notAmong(rolesOf(names))),
          furniture(names, databaseId),
          grantAll(mine, names.app, names.logins.readonly),
          'COMMIT'
        ].join(';\n')
      )
      await this.#session.run(`ALTER DATABASE ${database} OWNER TO ${id(this.#control)}`)
    })
    await guardDatabase(this.#session, names)
    await this.letOut({ names, databaseId, owner, from })
  }

  async giveBack({ names, owner, name, to }: Release): Promise<void> {
    if (to === null) throw new SaasctlError('INVALID_INPUT', 'A role to give the database to is needed.')
    // One that was given away under the name that it had is its new owner's.
    if ((await this.#ownerOf(names.database)) === this.#control) {
      // An earlier try may have been cut off right after it had shut it.
      await this.#session.run(`ALTER DATABASE ${id(names.database)} ALLOW_CONNECTIONS true`)
      await this.#empty(names, owner, to)
      await this.#session.run(`ALTER DATABASE ${id(names.database)} ALLOW_CONNECTIONS false`)
      await endLateSessions(this.#session, inDatabase(names.database))
      if (name !== names.database) await this.#session.run(`ALTER DATABASE ${id(names.database)} RENAME TO ${id(name)}`)
    }
    if ((await this.#ownerOf(name)) !== this.#control) return
    const database = id(name)
    await whileMember(this.#session, [to], this.#control, () =>
      this.#session.run(`
        REVOKE ALL ON DATABASE ${database} FROM ${rolesOf(names).map(id).join(', ')};
        GRANT CONNECT, TEMPORARY ON DATABASE ${database} TO PUBLIC;
        ALTER DATABASE ${database} ALLOW_CONNECTIONS true CONNECTION LIMIT -1;
        ALTER DATABASE ${database} OWNER TO ${id(to)}`)
    )
  }

  /** Ledger and identity go; node-pg-migrate finds its ledger where it looks for it by itself. */
  async #empty(names: DatabaseNames, owner: Release['owner'], to: string): Promise<void> {
    const mine = names.logins.owner
    const { app } = names
    const readonly = names.logins.readonly
    const defaults = 'ALTER DEFAULT PRIVILEGES REVOKE'
    await whileMember(this.#session, [to, app], mine, () =>
      inside(
        this.#enter({ database: names.database, as: owner }),
        [
          'BEGIN',
          `DO $$ BEGIN
             IF to_regclass('${SCHEMA}.pgmigrations') IS NOT NULL AND to_regclass('public.pgmigrations') IS NULL
               AND EXISTS (SELECT FROM ${SCHEMA}.pgmigrations) THEN
               ALTER TABLE ${SCHEMA}.pgmigrations SET SCHEMA public;
             END IF;
           END $$`,
          `DROP TABLE IF EXISTS ${SCHEMA}.identity, ${SCHEMA}.pgmigrations`,
          `DROP SCHEMA IF EXISTS ${SCHEMA}`,
          `${defaults} USAGE ON SCHEMAS FROM ${id(app)}, ${id(readonly)}`,
          `${defaults} ALL ON TABLES FROM ${id(app)}, ${id(readonly)}`,
          `${defaults} ALL ON SEQUENCES FROM ${id(app)}, ${id(readonly)}`,
          reOwn([mine, app, ...Object.values(names.logins)], to),
          strip(to, among(rolesOf(names))),
          'COMMIT'
        ].join(';\n')
      )
    )
  }

  /** A message that leaves the database its owner's alone. */
  async #closeToAll({ database }: DatabaseNames): Promise<string> {
    const rows = await this.#session.rows<{ role: string }>(
      `SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS role
       FROM pg_catalog.pg_database d, pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) x
       WHERE d.datname = $1 AND x.grantee <> d.datdba`,
      [database]
    )
    const revoke = rows.map(({ role }) => `REVOKE ALL ON DATABASE ${id(database)} FROM ${role} CASCADE`)
    return [...revoke, `ALTER DATABASE ${id(database)} ALLOW_CONNECTIONS true`].join(';\n')
  }

  async #ownerOf(database: string): Promise<string | undefined> {
    const [row] = await this.#session.rows<{ owner: string }>(
      'SELECT r.rolname::text AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = $1',
      [database]
    )
    return row?.owner
  }

  /** Who owns the database or something in it, but us: `pg_shdepend` is shared, so nobody has to enter to know. */
  async #foreignOwners(database: string, names: DatabaseNames): Promise<string[]> {
    const rows = await this.#session.rows<{ role: string }>(
      `SELECT DISTINCT r.rolname::text AS role FROM pg_catalog.pg_database d
       LEFT JOIN pg_catalog.pg_shdepend s ON s.dbid = d.oid AND s.deptype = 'o'
         AND s.refclassid = 'pg_catalog.pg_authid'::regclass
       JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid OR r.oid = d.datdba
       WHERE d.datname = $1 AND r.rolname <> ALL ($2) AND NOT r.rolsuper`,
      [database, [...rolesOf(names), this.#control]]
    )
    return rows.map(({ role }) => role)
  }
}
