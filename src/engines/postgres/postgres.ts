import type { MakeDump } from '../dump.js'
import type { Credentials, DatabaseNames, Engine, Fence, ServerAccess } from '../engine.js'
import { PostgresActingSession } from './acting.js'
import { bindingsOf } from './bindings.js'
import { check } from './check.js'
import { ControlSessions } from './control-sessions.js'
import { describe } from './describe.js'
import { dsn } from './dsn.js'
import { dump } from './dump.js'
import { schemaSql } from './export/schema.js'
import { openSnapshot } from './export/snapshot.js'
import { checkHeir } from './heir.js'
import { identify } from './identity.js'
import { KnownSchemas } from './known-schemas.js'
import { appliedMigrations } from './ledger.js'
import { lint } from './lint/lint.js'
import { checkDump } from './load.js'
import { letOwnerHaveApps } from './logins.js'
import { look } from './look.js'
import { namesOf } from './names.js'
import { probe } from './probe.js'
import { read, readRows } from './read.js'
import { repair } from './repair.js'
import { shell } from './shell.js'
import { inventoryOf, stateOf } from './state.js'
import { survey } from './survey.js'
import { tableSizes } from './table-sizes.js'

/** PostgreSQL 15 and newer. */
export class PostgresEngine implements Engine {
  readonly name = 'postgres'
  readonly defaultPort = 5432
  readonly maintenance = 'postgres'
  readonly names = namesOf
  readonly identify = identify
  readonly appliedMigrations = appliedMigrations
  readonly read = read
  readonly openSnapshot = openSnapshot
  readonly schemaSql = schemaSql
  readonly readRows = readRows
  readonly describe = describe
  readonly repair = repair
  readonly adoptedNames = namesOf
  readonly survey = survey
  readonly checkDump = checkDump
  readonly checkHeir = checkHeir
  readonly dsn = dsn
  readonly shell = shell
  readonly lint = lint
  readonly look = look
  readonly tableSizes = tableSizes
  readonly #sessions = new ControlSessions()
  readonly #schemas = new KnownSchemas()

  probe(server: ServerAccess) {
    return this.#sessions.useFresh(server, probe)
  }

  check(server: ServerAccess) {
    return this.#sessions.useFresh(server, session => check(session, server))
  }

  inventory(server: ServerAccess) {
    return this.#sessions.use(server, inventoryOf)
  }

  bindings(server: ServerAccess) {
    return this.#sessions.use(server, bindingsOf)
  }

  state(server: ServerAccess, names: DatabaseNames) {
    return this.#sessions.use(server, session => stateOf(session, names))
  }

  dump(server: ServerAccess, database: string, owner: Credentials, options: MakeDump) {
    const lend = (names: DatabaseNames) => this.#sessions.use(server, session => letOwnerHaveApps(session, names))
    return dump(server, { database, owner, lend, schemas: this.#schemas }, options)
  }

  enter(server: ServerAccess, fence: Fence) {
    return PostgresActingSession.enter(this.#sessions, server, fence)
  }

  close() {
    return this.#sessions.close()
  }
}
