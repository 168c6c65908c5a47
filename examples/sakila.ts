import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClientBase } from 'pg'
import { packageFolder } from '../src/config.js'

/** Where its files lie on the machines that have them: beside the repository. */
export const sakila = join(packageFolder, '..', 'shared', 'data', 'sakila')

/**
 * Loads the Sakila film rental (`postgres-schema.sql`, `postgres-data.sql`) into a database, in one transaction, as the
 * database's owner: no superuser and no psql is needed. Says how many tables got rows, and how many rows.
 *
 * The files come from a superuser's dump, so what belongs to a server and not to a tenant is left out: owners, grants
 * (one would open the schema to everybody), the language, and switching the foreign keys' triggers off. Foreign keys,
 * triggers and rules are made after the rows instead: staff and stores refer to each other.
 */
export async function loadSakila(client: ClientBase, folder: string): Promise<{ tables: number; rows: number }> {
  const schema = statements(await readFile(join(folder, 'postgres-schema.sql'), 'utf8'))
  const data = statements(await readFile(join(folder, 'postgres-data.sql'), 'utf8'))
  const counts = new Map<string, number>()
  await client.query('begin')
  try {
    for (const { sql } of schema.filter(({ sql }) => !AFTER_ROWS.test(sql))) await client.query(sql)
    for (const { sql, rows } of data) {
      if (!sql.startsWith('COPY ')) await client.query(sql)
      else counts.set(sql, await insert(client, sql, rows))
    }
    for (const { sql } of schema.filter(({ sql }) => AFTER_ROWS.test(sql))) await client.query(sql)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
  return { tables: counts.size, rows: [...counts.values()].reduce((sum, count) => sum + count, 0) }
}

const LEFT_OUT =
  /^(?:GRANT|REVOKE|COMMENT ON SCHEMA|CREATE OR REPLACE PROCEDURAL LANGUAGE)\s|\sOWNER TO \w+;$|\s(?:EN|DIS)ABLE TRIGGER ALL;$/
const AFTER_ROWS = /^CREATE (?:TRIGGER|RULE)\s|\sADD CONSTRAINT \w+ FOREIGN KEY\s/

interface Statement {
  sql: string
  /** The lines between a COPY and its `\.`. */
  rows: string[]
}

/** The statements of a dump: each ends with `;` at a line's end outside of a dollar-quoted body. */
function statements(dump: string): Statement[] {
  const found: Statement[] = []
  let open: string[] = []
  let copying: Statement | undefined
  for (const line of dump.split('\n')) {
    if (copying) {
      if (line === '\\.') copying = undefined
      else copying.rows.push(line)
      continue
    }
    if (open.length === 0 && (line.trim() === '' || line.startsWith('--'))) continue
    open.push(line)
    const sql = open.join('\n')
    if (!line.endsWith(';') || (sql.match(/\$\w*\$/g) ?? []).length % 2 === 1) continue
    open = []
    if (LEFT_OUT.test(sql)) continue
    const statement = { sql: sql.replace(/^SET (?!LOCAL)/, 'SET LOCAL '), rows: [] }
    found.push(statement)
    if (/^COPY [^;]* FROM stdin;$/.test(sql)) copying = statement
  }
  return found
}

/** Inserts the rows of a COPY; the values go as parameters, at most 60,000 a statement (the protocol allows 65,535). */
async function insert(client: ClientBase, copy: string, rows: string[]): Promise<number> {
  const into = copy.replace(/^COPY /, 'INSERT INTO ').replace(/ FROM stdin;$/, '')
  const values = rows.map(row => row.split('\t').map(field))
  const width = values[0]?.length ?? 1
  const batch = Math.floor(60_000 / width)
  for (let start = 0; start < values.length; start += batch) {
    const part = values.slice(start, start + batch)
    const places = part.map(
      (_, row) => `(${Array.from({ length: width }, (_, column) => `$${row * width + column + 1}`)})`
    )
    await client.query(`${into} VALUES ${places}`, part.flat())
  }
  return rows.length
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** One field of COPY's text format. */
function field(text: string): string | null {
  if (text === '\\N') return null
  return text.replace(/\\(.)/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped)
}
