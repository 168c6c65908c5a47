import type { AlterTableCmd, AlterTableStmt } from 'libpg-query'
import { commaParts } from '../../commands.js'
import { mask } from '../../statements.js'
import type { Command } from './parse.js'

/** One action of ALTER TABLE, and where in the file's part it begins. */
export interface Action {
  cmd: AlterTableCmd
  at: number
}

const HEAD = /^alter\s+(?:foreign\s+)?table\s+(?:if\s+exists\s+)?(?:only\s+)?[^\s.]+(?:\s*\.\s*[^\s.]+)?(?:\s*\*)?\s+/i

/** The parser keeps no place of most actions; they stand between commas, in their order. */
export function actionsOf({ sql, from, to }: Command, { cmds = [] }: AlterTableStmt): Action[] {
  const code = mask(sql.slice(from, to))
  const head = HEAD.exec(code)?.[0].length ?? 0
  const parts = commaParts(code.slice(head))
  return cmds.flatMap((node, index) =>
    'AlterTableCmd' in node ? [{ cmd: node.AlterTableCmd, at: from + head + (parts[index]?.at ?? 0) }] : []
  )
}
