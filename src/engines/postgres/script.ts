import { SaasctlError } from '../../errors.js'
import { answerOf } from './errors.js'
import { lineAt } from './line.js'
import type { Session } from './session.js'

/** Runs a script in one transaction: all of it or nothing. */
export async function runScript(session: Session, sql: string): Promise<void> {
  const head = 'BEGIN; SET LOCAL search_path = public;\n'
  try {
    await session.run(`${head}${sql}\n;COMMIT; RESET ROLE; RESET ALL`)
  } catch (error) {
    await session.rollback()
    const answer = answerOf(error)
    if (!answer || !(error instanceof SaasctlError) || error.code !== 'SERVER_FAILED') throw error
    const line = lineAt(answer, sql, { length: head.length, statements: 2 })
    const where = `A script failed${line === undefined ? '' : ` at line ${line}`} in database "${session.place.database}"`
    throw new SaasctlError('MIGRATION_FAILED', `${where}: ${answer.said} (${answer.state}). Nothing of it was kept.`)
  }
}
