import { createHash } from 'node:crypto'
import type { SchemaFact } from '../engine.js'
import type { Flavour } from './flavour.js'
import { id, requalified } from './quote.js'
import type { Session } from './session.js'

/** A schema, object by object: what an object is and whose names it bears, as JSON, and a hash of all that makes it up. */
export type Objects = ReadonlyMap<string, string>

export interface Described {
  objects: Objects
  /** SHA-256 over all of them, hex. */
  fingerprint: string
}

/**
 * SHA-256 of the schema: the same in what a template's snapshot made and after dump and restore, within one server's
 * major version. Left out: definers and rights, the order of columns, comments, what AUTO_INCREMENT has come to.
 */
export async function fingerprintOf(session: Session): Promise<string> {
  return (await describe(session)).fingerprint
}

/** Reads the schema of the database that the session sits in: one statement per kind of object, about 10 ms in all. */
export async function describe(session: Session): Promise<Described> {
  const lines = new Map<string, string[]>()
  for (const { kind, names, values } of await readLines(session)) {
    const key = JSON.stringify([kind, ...names])
    lines.set(key, [...(lines.get(key) ?? []), values])
  }
  const objects = new Map<string, string>()
  for (const key of [...lines.keys()].sort()) objects.set(key, sha256(lines.get(key)?.sort().join('\n') ?? ''))
  return { objects, fingerprint: sha256(JSON.stringify([...objects])) }
}

/** The same thing by thing. What several rows make up, as the columns of an index, is one thing. */
export async function factsOf(session: Session): Promise<SchemaFact[]> {
  const facts = new Map<string, SchemaFact>()
  for (const line of await readLines(session)) {
    const { kind, name, definition } = factOf(line)
    const before = facts.get(`${kind} ${name}`)
    facts.set(`${kind} ${name}`, {
      kind,
      name,
      definition: before ? `${before.definition}; ${definition}` : definition
    })
  }
  return [...facts.values()].sort((a, b) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1))
}

/** What belongs to a table says in its second value what it is, and in its third its own name. */
const PARTS = ['column', 'index', 'check', 'partition']

function factOf({ kind, names, values }: Line): SchemaFact {
  const parts = JSON.parse(values) as unknown[]
  const shown = (from: number) =>
    parts
      .slice(from)
      .filter(value => value !== null && value !== '')
      .join(' ')
  if (kind === 'table' && PARTS.includes(String(parts[0])))
    return { kind: String(parts[0]), name: `${names[0]}.${parts[1]}`, definition: shown(2) }
  return { kind, name: kind === 'foreign key' ? `${names[1]}.${names[0]}` : String(names[0]), definition: shown(0) }
}

interface Line {
  kind: string
  names: unknown[]
  /** As JSON: what is hashed. */
  values: string
}

async function readLines(session: Session): Promise<Line[]> {
  const { database } = session.place
  const lines: Line[] = []
  for (const { kind, names, select } of queries(session.flavour)) {
    for (const row of await session.rows<Record<string, unknown>>(select, [database])) {
      const values = Object.values(row)
      // A view's text names its tables with their database.
      const text = requalified(JSON.stringify(values.slice(names)), database)
      lines.push({ kind, names: values.slice(0, names), values: text })
    }
  }
  for (const [name, made] of await sequences(session, database))
    lines.push({ kind: 'sequence', names: [name], values: JSON.stringify([made]) })
  return lines
}

/** What makes up a sequence, which no table of information_schema tells before MariaDB 11.5; nobody else has any. */
async function sequences(session: Session, database: string): Promise<Array<[name: string, made: string]>> {
  if (session.flavour !== 'mariadb') return []
  const found = await session.rows<{ name: string }>(
    `SELECT TABLE_NAME AS name ${from('TABLES', 'TABLE_SCHEMA', `TABLE_TYPE = 'SEQUENCE'`)}`,
    [database]
  )
  const made: Array<[string, string]> = []
  for (const { name } of found) {
    const [row] = await session.rows<{ 'Create Table': string }>(`SHOW CREATE SEQUENCE ${id(name)}`)
    made.push([name, row?.['Create Table'] ?? ''])
  }
  return made
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

interface Query {
  kind: string
  /** How many of the first columns are the object's names; what an ALTER TABLE changes bears the table's. */
  names: number
  select: string
}

const from = (table: string, schema: string, and = '') =>
  `FROM information_schema.${table} WHERE ${schema} = ? ${and && `AND ${and}`}`

/** Aliases, because MySQL 8 and MariaDB write the names of these columns in different cases. */
function queries(flavour: Flavour): Query[] {
  const mariadb = flavour === 'mariadb'
  return [
    {
      kind: 'table',
      names: 1,
      select: `SELECT TABLE_NAME AS a, TABLE_TYPE AS b, ENGINE AS c, TABLE_COLLATION AS d, CREATE_OPTIONS AS e
        ${from('TABLES', 'TABLE_SCHEMA', `TABLE_TYPE <> 'VIEW'`)}`
    },
    {
      kind: 'table',
      names: 1,
      select: `SELECT c.TABLE_NAME AS a, 'column' AS b, c.COLUMN_NAME AS c, c.COLUMN_TYPE AS d, c.IS_NULLABLE AS e,
          c.COLUMN_DEFAULT AS f, c.EXTRA AS g, c.COLLATION_NAME AS h, c.GENERATION_EXPRESSION AS i
        FROM information_schema.COLUMNS c
        LEFT JOIN information_schema.VIEWS v ON v.TABLE_SCHEMA = c.TABLE_SCHEMA AND v.TABLE_NAME = c.TABLE_NAME
        WHERE c.TABLE_SCHEMA = ? AND v.TABLE_NAME IS NULL`
    },
    {
      kind: 'table',
      names: 1,
      select: `SELECT TABLE_NAME AS a, 'index' AS b, INDEX_NAME AS c, SEQ_IN_INDEX AS d, NON_UNIQUE AS e,
          COLUMN_NAME AS f, SUB_PART AS g, COLLATION AS h, INDEX_TYPE AS i,
          ${mariadb ? 'IGNORED' : 'IS_VISIBLE'} AS j, ${mariadb ? 'NULL' : 'EXPRESSION'} AS k
        ${from('STATISTICS', 'TABLE_SCHEMA')}`
    },
    {
      kind: 'table',
      names: 1,
      select: mariadb
        ? `SELECT TABLE_NAME AS a, 'check' AS b, CONSTRAINT_NAME AS c, CHECK_CLAUSE AS d, LEVEL AS e
            ${from('CHECK_CONSTRAINTS', 'CONSTRAINT_SCHEMA')}`
        : `SELECT t.TABLE_NAME AS a, 'check' AS b, t.CONSTRAINT_NAME AS c, c.CHECK_CLAUSE AS d, t.ENFORCED AS e
            FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c
              ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME
            WHERE t.CONSTRAINT_SCHEMA = ? AND t.CONSTRAINT_TYPE = 'CHECK'`
    },
    {
      kind: 'table',
      names: 1,
      select: `SELECT TABLE_NAME AS a, 'partition' AS b, PARTITION_NAME AS c, SUBPARTITION_NAME AS d,
          PARTITION_METHOD AS e, PARTITION_EXPRESSION AS f, PARTITION_DESCRIPTION AS g, SUBPARTITION_METHOD AS h,
          SUBPARTITION_EXPRESSION AS i
        ${from('PARTITIONS', 'TABLE_SCHEMA', 'PARTITION_NAME IS NOT NULL')}`
    },
    // Not the child's alone: renaming the parent changes them too.
    {
      kind: 'foreign key',
      names: 3,
      select: `SELECT CONSTRAINT_NAME AS a, TABLE_NAME AS b, REFERENCED_TABLE_NAME AS c, UPDATE_RULE AS d,
          DELETE_RULE AS e ${from('REFERENTIAL_CONSTRAINTS', 'CONSTRAINT_SCHEMA')}`
    },
    {
      kind: 'foreign key',
      names: 3,
      select: `SELECT CONSTRAINT_NAME AS a, TABLE_NAME AS b, REFERENCED_TABLE_NAME AS c, ORDINAL_POSITION AS d,
          COLUMN_NAME AS e, REFERENCED_COLUMN_NAME AS f
        ${from('KEY_COLUMN_USAGE', 'TABLE_SCHEMA', 'REFERENCED_TABLE_NAME IS NOT NULL')}`
    },
    {
      kind: 'view',
      names: 1,
      select: `SELECT TABLE_NAME AS a, VIEW_DEFINITION AS b, CHECK_OPTION AS c, SECURITY_TYPE AS d,
          ${mariadb ? 'ALGORITHM' : 'NULL'} AS e ${from('VIEWS', 'TABLE_SCHEMA')}`
    },
    {
      kind: 'trigger',
      names: 2,
      select: `SELECT TRIGGER_NAME AS a, EVENT_OBJECT_TABLE AS b, ACTION_TIMING AS c, EVENT_MANIPULATION AS d,
          ACTION_ORDER AS e, ACTION_STATEMENT AS f, SQL_MODE AS g ${from('TRIGGERS', 'TRIGGER_SCHEMA')}`
    },
    {
      kind: 'routine',
      names: 1,
      select: `SELECT ROUTINE_NAME AS a, ROUTINE_TYPE AS b, ROUTINE_DEFINITION AS c, DTD_IDENTIFIER AS d,
          SQL_DATA_ACCESS AS e, IS_DETERMINISTIC AS f, SECURITY_TYPE AS g, SQL_MODE AS h
        ${from('ROUTINES', 'ROUTINE_SCHEMA')}`
    },
    {
      kind: 'routine',
      names: 1,
      select: `SELECT SPECIFIC_NAME AS a, ROUTINE_TYPE AS b, ORDINAL_POSITION AS c, PARAMETER_MODE AS d,
          PARAMETER_NAME AS e, DTD_IDENTIFIER AS f ${from('PARAMETERS', 'SPECIFIC_SCHEMA')}`
    }
  ]
}
