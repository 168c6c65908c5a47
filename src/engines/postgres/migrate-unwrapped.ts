import { LockPatience } from '../lock-patience.js'
import { splitStatements } from '../statements.js'
import { answerOf, LOCK_NOT_FREE } from './errors.js'
import { guard, record, refusalOf, type Step } from './ledger.js'
import { failure } from './migration-failure.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/**
 * For statements that cannot run in a transaction: one after the other, the ledger row last. A try that was cut short is
 * repeated from the first statement, so each must bear being repeated; CREATE INDEX CONCURRENTLY is made to.
 */
export async function applyUnwrapped(session: Session, step: Step): Promise<void> {
  const { statementTimeoutMs } = step.file.options
  try {
    await session.run(`
      SET statement_timeout = ${statementTimeoutMs ?? 0};
      ${guard(step, 'pg_try_advisory_lock')};
      SET search_path = public`)
  } catch (error) {
    if (refusalOf(error)?.why === 'done') return await release(session)
    throw failure(error, session, step)
  }
  try {
    for (const { sql, line } of splitStatements(step.sql)) {
      if (await indexIsThere(session, sql)) continue
      await runPatiently(session, sql, step.file.options.lockTimeoutMs).catch(error => {
        throw failure(error, session, beginningAt(step, sql, line), { length: 0, statements: 0 })
      })
    }
    await session.run(`SET search_path = pg_catalog, pg_temp; ${record(step)}`)
  } finally {
    if (!session.inDoubt) await release(session)
  }
}

/**
 * What works CONCURRENTLY keeps nobody out, and waits in one go as long as the file says: each try that is cut short leaves
 * an index to be dropped. Any other statement makes others queue behind it, and waits in several.
 */
async function runPatiently(session: Session, sql: string, lockTimeoutMs: number): Promise<void> {
  const patience = new LockPatience(lockTimeoutMs)
  const patient = CONCURRENTLY.test(sql)
  for (;;) {
    await session.run(`SET lock_timeout = ${patient ? lockTimeoutMs : patience.waitMs}`)
    try {
      return await session.run(sql)
    } catch (error) {
      const again = answerOf(error)?.state === LOCK_NOT_FREE && !patient && (await patience.again())
      if (!again) throw error
    }
  }
}

const CONCURRENTLY = /^\s*(?:create|drop|reindex|refresh|alter)\b[^;']*\bconcurrently\b/i

const release = (session: Session) => session.run(`SELECT pg_catalog.pg_advisory_unlock_all(); RESET ROLE; RESET ALL`)

/** The step as if its part began with this statement, for the line in an error. */
function beginningAt(step: Step, sql: string, line: number): Step {
  const first = (step.file.lines?.[step.direction] ?? 1) + line - 1
  return { ...step, sql, file: { ...step.file, lines: { up: first, down: first } } }
}

const CONCURRENT_INDEX =
  /^create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?((?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?)\s+on\b/i

/**
 * Whether an index that is about to be made concurrently is whole already. A try that was cut short leaves an index that
 * is kept up to date and never used, and that IF NOT EXISTS takes for the real one: it is dropped.
 */
async function indexIsThere(session: Session, sql: string): Promise<boolean> {
  const name = CONCURRENT_INDEX.exec(sql)?.[1]
  if (name === undefined) return false
  const [index] = await session.rows<{ schema: string; name: string; valid: boolean }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS name, i.indisvalid AS valid
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE i.indexrelid = pg_catalog.to_regclass($1)`,
    [name]
  )
  if (index && !index.valid) await session.run(`DROP INDEX CONCURRENTLY ${id(index.schema)}.${id(index.name)}`)
  return index?.valid === true
}
