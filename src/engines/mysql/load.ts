import type { Readable } from 'node:stream'
import { SaasctlError } from '../../errors.js'
import { quoteInput } from '../../names.js'
import { answerOf } from './errors.js'
import { bare, ScriptStatements } from './script-statements.js'
import type { Session } from './session.js'

/** Commands of the client, which no server knows; and what leads to another database. */
const REFUSED = /^(?:\\\S*|(?:system|source|tee|pager|notee|edit)\b|USE\b|CREATE DATABASE\b|DROP DATABASE\b)/i

/** Reads a dump to its end, and refuses what does more than fill one database. Nothing is sent anywhere. */
export async function checkDump(stream: Readable): Promise<void> {
  for await (const sql of statementsOf(stream)) {
    const refused = REFUSED.exec(bare(sql))?.[0]
    if (refused === undefined) continue
    throw new SaasctlError('INVALID_INPUT', `The dump has the command ${quoteInput(refused)}.`, {
      hint: 'Nothing was made. Take a dump of one database with mysqldump, without --databases.'
    })
  }
}

/** Plays a dump as the database's owner, statement by statement. Each piece of DDL commits itself: what failed is dropped. */
export async function load(session: Session, stream: Readable): Promise<void> {
  let count = 0
  for await (const sql of statementsOf(stream)) {
    count += 1
    if (/^(?:\/\*![0-9]* *)?SET @@GLOBAL/i.test(bare(sql))) continue
    try {
      await session.run(sql.replace(DEFINER, ''))
    } catch (error) {
      const answer = answerOf(error)
      if (!answer || !(error instanceof SaasctlError) || error.retryable) throw error
      const place = `in database "${session.place.database}"`
      throw new SaasctlError('MIGRATION_FAILED', `The dump failed at statement ${count} ${place}: ${answer.said}.`, {
        hint: 'Nothing of it is kept. Mend the dump, or what it needs, and create the tenant again.'
      })
    }
  }
}

/** Routines and views become their new owner's; the first one only, for a body may have the word in its text. */
const DEFINER =
  /\/\*!\d+ DEFINER=(?:`(?:[^`]|``)*`)@(?:`(?:[^`]|``)*`)\s*(?:SQL SECURITY DEFINER)?\s*\*\/|\bDEFINER=(?:`(?:[^`]|``)*`)@(?:`(?:[^`]|``)*`)/

async function* statementsOf(stream: Readable): AsyncGenerator<string> {
  const script = new ScriptStatements()
  const textOf = (found: Buffer[]) => found.map(one => one.toString('utf8')).filter(sql => bare(sql) !== '')
  for await (const chunk of stream as AsyncIterable<Buffer>) yield* textOf(script.push(chunk))
  const { statements, cut } = script.end()
  yield* textOf(statements)
  if (cut) throw new SaasctlError('INVALID_INPUT', 'The dump ends within a statement.', { hint: 'Take it once more.' })
}
