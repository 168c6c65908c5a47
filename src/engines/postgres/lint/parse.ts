import type { Node } from 'libpg-query'
import { lineOf, mask } from '../../statements.js'

/** One command as PostgreSQL's own parser reads it. */
export interface Command {
  node: Node
  /** The text of the file's part, and of it where the command begins and ends. */
  sql: string
  from: number
  to: number
}

export interface Misspelt {
  message: string
  /** Where it stopped, as a line of the part. */
  line: number
}

/** The parser is WebAssembly of 1.2 MB: loaded by the first file that is linted (12 ms), and by nothing else. */
export async function loadParser(): Promise<(sql: string) => Command[] | Misspelt> {
  const { loadModule, parseSync, hasSqlDetails } = await import('libpg-query')
  await loadModule()
  return sql => {
    try {
      return commandsOf(sql, parseSync(sql).stmts ?? [])
    } catch (error) {
      if (!hasSqlDetails(error)) throw error
      // Errors are placed by characters, statements by bytes.
      const before = [...sql].slice(0, error.sqlDetails?.cursorPosition ?? 0).join('')
      return { message: error.message, line: lineOf(before, before.length) }
    }
  }
}

interface RawStatement {
  stmt?: Node
  stmt_location?: number
  stmt_len?: number
}

function commandsOf(sql: string, statements: RawStatement[]): Command[] {
  const at = characters(sql)
  const code = mask(sql)
  return statements.flatMap(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    if (!stmt) return []
    const lead = code.slice(at(start)).search(/[^\s;]/)
    const to = length === undefined ? sql.length : at(start + length)
    return [{ node: stmt, sql, from: at(start) + Math.max(lead, 0), to }]
  })
}

/** Where in the text a place is that the parser counts in bytes. */
function characters(sql: string): (bytes: number) => number {
  const bytes = Buffer.from(sql)
  if (bytes.length === sql.length) return at => at
  return at => bytes.subarray(0, at).toString().length
}
