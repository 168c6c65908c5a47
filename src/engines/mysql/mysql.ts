import type { DatabaseNames, Engine, Fence, ServerAccess } from '../engine.js'
import { MysqlActingSession } from './acting.js'
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
import { appliedMigrations } from './ledger.js'
import { lint } from './lint/lint.js'
import { checkDump } from './load.js'
import { look } from './look.js'
import { adoptedNames, namesOf } from './names.js'
import { probe } from './probe.js'
import { read, readRows } from './read.js'
import { repair } from './repair.js'
import { shell } from './shell.js'
import { inventoryOf, stateOf } from './state.js'
import { survey } from './survey.js'
import { tableSizes } from './table-sizes.js'

/** MySQL 8 and MariaDB from 10.11 on. */
export class MysqlEngine implements Engine {
  readonly name = 'mysql'
  readonly defaultPort = 3306
  readonly maintenance = 'information_schema'
  readonly names = namesOf
  readonly identify = identify
  readonly appliedMigrations = appliedMigrations
  readonly read = read
  readonly openSnapshot = openSnapshot
  readonly schemaSql = schemaSql
  readonly readRows = readRows
  readonly describe = describe
  readonly repair = repair
  readonly dump = dump
  readonly adoptedNames = adoptedNames
  readonly survey = survey
  readonly checkDump = checkDump
  readonly checkHeir = checkHeir
  readonly dsn = dsn
  readonly shell = shell
  readonly lint = lint
  readonly look = look
  readonly tableSizes = tableSizes
  readonly #sessions = new ControlSessions()

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

  enter(server: ServerAccess, fence: Fence) {
    return MysqlActingSession.enter(this.#sessions, server, fence)
  }

  close() {
    return this.#sessions.close()
  }
}
