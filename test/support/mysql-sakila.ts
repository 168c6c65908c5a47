import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MariadbServer } from './mariadb-server.js'

export interface Sakila {
  /** Its schema, statement by statement. */
  schema: string[]
  /** Its rows, and triggers that come after them. */
  rows: string[]
}

/** The scripts name their database, hide the geometry from all but MySQL 5.7 and later, and speak to the client. */
export async function readSakila(folder: string): Promise<Sakila> {
  const read = async (name: string) =>
    (await readFile(join(folder, name), 'utf8'))
      .replace(/^(?:(?:DROP|CREATE) SCHEMA|USE)\b.*$/gm, '')
      .replace(/\bsakila\./g, '')
      .replace(/\/\*!50[67]\d\d([\s\S]*?)\*\//g, '$1')
  return { schema: statements(await read('mysql-schema.sql')), rows: statements(await read('mysql-data.sql')) }
}

function statements(script: string): string[] {
  const found: string[] = []
  let delimiter = ';'
  let open = ''
  for (const line of script.split(/\r?\n/)) {
    const set = /^DELIMITER (\S+)/.exec(line)
    if (set?.[1]) delimiter = set[1]
    else if (line.trimEnd().endsWith(delimiter)) {
      found.push(open + line.trimEnd().slice(0, -delimiter.length))
      open = ''
    } else if (!/^\s*(?:--.*)?$/.test(line)) open += `${line}\n`
  }
  return found
}

/** Everything in a database but whose it is: each definition as the server prints it, and a checksum of each table's rows. */
export async function contentsOf(server: MariadbServer, database: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  const read = async (sql: string) => await server.root(sql, database)
  const names = async (column: string, source: string, schema: string) =>
    (
      await read(
        `SELECT ${column} AS name FROM information_schema.${source} WHERE ${schema} = '${database}' ORDER BY 1`
      )
    ).map(({ name }) => String(name))
  for (const [kind, source, schema, column] of [
    ['TABLE', 'TABLES', "TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA", 'TABLE_NAME'],
    ['VIEW', 'VIEWS', 'TABLE_SCHEMA', 'TABLE_NAME'],
    ['TRIGGER', 'TRIGGERS', 'TRIGGER_SCHEMA', 'TRIGGER_NAME'],
    ['FUNCTION', 'ROUTINES', "ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA", 'ROUTINE_NAME'],
    ['PROCEDURE', 'ROUTINES', "ROUTINE_TYPE = 'PROCEDURE' AND ROUTINE_SCHEMA", 'ROUTINE_NAME']
  ] as const) {
    for (const name of await names(column, source, schema)) {
      const [row = {}] = await read(`SHOW CREATE ${kind} \`${name}\``)
      const { Created: _, ...made } = row
      found[`${kind} ${name}`] = JSON.parse(
        JSON.stringify(made)
          .replace(/ DEFINER=`[^`]*`@`[^`]*`/g, '')
          .replaceAll(`\`${database}\`.`, '')
      )
      if (kind !== 'TABLE') continue
      const [sum] = await read(`CHECKSUM TABLE \`${name}\` EXTENDED`)
      const [count] = await read(`SELECT COUNT(*) AS count FROM \`${name}\``)
      found[`rows of ${name}`] = [count?.['count'], sum?.['Checksum']]
    }
  }
  return found
}
