import type { Readable } from 'node:stream'
import { SaasctlError } from '../../errors.js'
import type { RestoreOptions } from '../dump.js'
import type { DatabaseNames } from '../engine.js'
import { HEAD_MARK, SCRIPT, type ScriptHead } from './dump.js'
import { account, id, requalified } from './quote.js'
import { recordTable } from './records.js'
import { ScriptStatements } from './script-statements.js'
import type { Session } from './session.js'

/**
 * Plays what the dump tool wrote, statement by statement. Not by the client, which takes commands of its own from a script:
 * `\!` runs a program. Each piece of DDL commits itself, so a failed restore is dropped. An abort ends the session.
 */
export async function restore(
  session: Session,
  names: DatabaseNames,
  stream: Readable,
  { format, signal }: RestoreOptions
): Promise<void> {
  if (format !== SCRIPT) {
    throw new SaasctlError('INVALID_INPUT', `A dump in the format "${format}" cannot be restored to this server.`, {
      hint: 'Restore it on a server of the kind that it was made on, with the version of saasctl that made it.'
    })
  }
  signal.throwIfAborted()
  const abort = () => session.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await play(session, names, stream)
  } finally {
    signal.removeEventListener('abort', abort)
    stream.destroy()
  }
}

async function play(session: Session, names: DatabaseNames, stream: Readable): Promise<void> {
  const statements = new ScriptStatements()
  let head: ScriptHead | undefined
  // An adopted database may have a table of its own name: then the tool's short names of columns look like those of tables.
  let namesake = false
  const run = async (found: Buffer[]) => {
    for (const statement of found) {
      const text = statement.toString('utf8').trimStart()
      const { line, rest } = cutHead(text)
      head ??= readHead(line)
      namesake ||= rest.startsWith(`CREATE TABLE ${id(head.database)} (`)
      await session.run(text.startsWith('INSERT INTO ') ? text : rehomed(rest, head, names, namesake))
    }
  }
  for await (const chunk of stream as AsyncIterable<Buffer>) await run(statements.push(chunk))
  const { statements: last, cut } = statements.end()
  await run(last)
  if (cut || !head) throw damaged('it ends within a statement')
  await recordMigrations(session, names, head)
}

function cutHead(text: string): { line: string; rest: string } {
  if (!text.startsWith(HEAD_MARK)) return { line: '', rest: text }
  const end = text.indexOf('\n')
  return { line: text.slice(HEAD_MARK.length, end), rest: text.slice(end + 1) }
}

function readHead(line: string): ScriptHead {
  try {
    const head = JSON.parse(line) as ScriptHead
    if (typeof head.database === 'string' && Array.isArray(head.migrations)) return head
  } catch {}
  throw damaged('its first line is not one of ours')
}

/** A definition, with its definer and database those of its new home. */
function rehomed(sql: string, { database }: ScriptHead, names: DatabaseNames, namesake: boolean): string {
  const owned = sql.replace(DEFINER, `DEFINER=${account(names.logins.owner)}`)
  return namesake ? owned : requalified(owned, database, `${id(names.database)}.`)
}

/** The first one only: a body may have the word in its text. */
const DEFINER = /\bDEFINER=(?:`(?:[^`]|``)*`)@(?:`(?:[^`]|``)*`)/

async function recordMigrations(
  session: Session,
  { database }: DatabaseNames,
  { migrations }: ScriptHead
): Promise<void> {
  for (const { name, at } of migrations) {
    await session.run(`INSERT INTO ${recordTable(database, 'pgmigrations')} (name, run_on) VALUES (?, ?)`, [
      name,
      new Date(at)
    ])
  }
}

const damaged = (what: string): SaasctlError =>
  new SaasctlError('FAILED', `The dump cannot be read: ${what}.`, { hint: 'Restore another backup.' })
