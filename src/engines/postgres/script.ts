import { SaasctlError } from '../../errors.js'
import { answerOf } from './errors.js'
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
    const line = answer.position === undefined ? '' : ` at line ${lineAt(sql, answer.position - head.length)}`
    const where = `A script failed${line} in database "${session.place.database}"`
    throw new SaasctlError('MIGRATION_FAILED', `${where}: ${answer.said} (${answer.state}). Nothing of it was kept.`)
  }
}

/** The server counts characters of the text, from 1. */
function lineAt(sql: string, position: number): number {
  return [...sql]
    .slice(0, position - 1)
    .join('')
    .split('\n').length
}
