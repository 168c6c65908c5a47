import { SaasctlError } from '../../errors.js'
import { SETTINGS } from './connect.js'
import { id, requalified } from './quote.js'
import { recordTable } from './records.js'
import type { Session } from './session.js'
import { rowsOf } from './snapshot-rows.js'

/** A statement, and the sql_mode that belongs to it: routines and triggers keep theirs. */
export interface Made {
  sql: string
  mode?: string
}

/** A template at its head, as the statements that make another of it. In the order in which they are played. */
export interface Snapshot {
  tables: Made[]
  /** INSERTs that are safe in every character set; no trigger is there yet when they run. */
  rows: string[]
  routines: Made[]
  views: Made[]
  triggers: Made[]
  /** Names of the migrations that it has, in their order. */
  migrations: string[]
}

interface Reading {
  rows?: boolean
}

/**
 * Reads a template. It has no doors of its own once it is sealed, so control reads it: definitions, and rows of base
 * tables without what they compute, so that no code of the template's runs.
 */
export async function readSnapshot(session: Session, database: string, reading: Reading = {}): Promise<Snapshot> {
  // A server prints no view whose query the mode of the session refuses, as ours does groups that show more than their key.
  await session.run(`SET SESSION sql_quote_show_create = 1, SESSION sql_mode = ''`)
  try {
    return await readAll(session, database, reading)
  } finally {
    await session.run(SETTINGS)
  }
}

async function readAll(session: Session, database: string, { rows = true }: Reading): Promise<Snapshot> {
  const there = await session.rows<{ name: string; type: string }>(
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME`,
    [database]
  )
  const named = (type: 'VIEW' | 'SEQUENCE' | 'other') =>
    there.filter(one => (['VIEW', 'SEQUENCE'].includes(one.type) ? one.type : 'other') === type)
  const reader = new Reader(session, database)
  const snapshot: Snapshot = { tables: [], rows: [], routines: [], views: [], triggers: [], migrations: [] }
  for (const { name } of named('SEQUENCE')) snapshot.tables.push(await reader.read('SEQUENCE', name, 'Create Table'))
  for (const { name } of named('other')) {
    snapshot.tables.push(await reader.read('TABLE', name, 'Create Table'))
    if (rows) snapshot.rows.push(...(await rowsOf(session, database, name)))
  }
  for (const { name, type } of await routinesOf(session, database)) {
    snapshot.routines.push(await reader.read(type, name, type === 'FUNCTION' ? 'Create Function' : 'Create Procedure'))
  }
  const views = new Map<string, Made>()
  // A view keeps no mode of its own.
  for (const { name } of named('VIEW'))
    views.set(name, { ...(await reader.read('VIEW', name, 'Create View')), mode: '' })
  snapshot.views = inOrder(views)
  snapshot.triggers = await readTriggers(session, database)
  const ledger = await session.rows<{ name: string }>(
    `SELECT name FROM ${recordTable(database, 'pgmigrations')} ORDER BY id`
  )
  snapshot.migrations = ledger.map(({ name }) => name)
  return snapshot
}

/** The database's triggers, in the order in which they are made. */
export async function readTriggers(session: Session, database: string): Promise<Array<Made & { name: string }>> {
  const reader = new Reader(session, database)
  const triggers: Array<Made & { name: string }> = []
  for (const name of await triggersOf(session, database)) {
    const trigger = await reader.read('TRIGGER', name, 'SQL Original Statement')
    // Made in their order they need no neighbour, which may not be there yet.
    const sql = trigger.sql.replace(/(\bfor\s+each\s+row)\s+(?:follows|precedes)\s+(?:`[^`]+`|[\w$]+)/i, '$1')
    triggers.push({ ...trigger, name, sql })
  }
  return triggers
}

/** Reads what SHOW CREATE says, without the definer, who is whoever plays it, and without the template's name. */
class Reader {
  readonly #session: Session
  readonly #database: string

  constructor(session: Session, database: string) {
    this.#session = session
    this.#database = database
  }

  async read(what: string, name: string, column: string): Promise<Made> {
    const [row = {}] = await this.#session.rows<Record<string, unknown>>(
      `SHOW CREATE ${what} ${id(this.#database)}.${id(name)}`
    )
    const sql = row[column]
    if (typeof sql !== 'string') {
      throw new SaasctlError('SERVER_RIGHTS', `The control login may not read ${what} ${name} of a template.`, {
        hint: '`saasctl server check` prints the statement that grants what is missing.'
      })
    }
    const mode = row['sql_mode']
    return {
      sql: requalified(sql.replace(DEFINER, ''), this.#database),
      ...(typeof mode === 'string' && { mode })
    }
  }
}

const DEFINER = /\sDEFINER=(?:`(?:[^`]|``)*`)(?:@`(?:[^`]|``)*`)?/

async function routinesOf(session: Session, database: string) {
  return await session.rows<{ name: string; type: string }>(
    `SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES
     WHERE ROUTINE_SCHEMA = ? AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE') ORDER BY ROUTINE_TYPE, ROUTINE_NAME`,
    [database]
  )
}

async function triggersOf(session: Session, database: string): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?
     ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER`,
    [database]
  )
  return rows.map(({ name }) => name)
}

/** A view comes after those that it reads: its text has their names, quoted by the server. */
function inOrder(views: Map<string, Made>): Made[] {
  const ordered = new Map<string, Made>()
  const visit = (name: string, made: Made) => {
    if (ordered.has(name)) return
    const body = made.sql.slice(made.sql.search(/\sAS\s/i))
    for (const [other, one] of views) {
      if (other !== name && body.includes(id(other))) visit(other, one)
    }
    ordered.set(name, made)
  }
  for (const [name, made] of views) visit(name, made)
  return [...ordered.values()]
}
