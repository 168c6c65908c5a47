import { SaasctlError } from '../../errors.js'
import { SETTINGS } from './connect.js'
import { answerOf } from './errors.js'
import { partsOf } from './parts.js'
import type { Session } from './session.js'

/** Runs a script in one transaction, which ends before each statement that changes the schema. */
export async function runScript(session: Session, sql: string): Promise<void> {
  await session.run(SETTINGS)
  await session.run('START TRANSACTION')
  for (const part of partsOf(sql)) {
    try {
      await session.run(part.sql)
      if (part.kind === 'schema') await session.run('START TRANSACTION')
    } catch (error) {
      await session.rollback().catch(() => session.destroy())
      const answer = answerOf(error)
      if (!answer || !(error instanceof SaasctlError) || error.code !== 'SERVER_FAILED') throw error
      const where = `A script failed at line ${part.line} in database "${session.place.database}"`
      throw new SaasctlError('MIGRATION_FAILED', `${where}: ${answer.said} (${answer.state}).`, {
        hint: 'Mend the script; it may run again.'
      })
    }
  }
  await session.run('COMMIT')
  await session.run(SETTINGS)
}
