import { createHash } from 'node:crypto'
import { SaasctlError } from '../../errors.js'
import { dialects } from '../dialects.js'
import { lineOf, mask, splitStatements } from '../statements.js'
import type { Step } from './records.js'

/**
 * How a statement is made to happen once. `rows` rolls back with its transaction. `schema` commits itself, and whether it
 * happened is seen from the fingerprint. `session` lasts as long as the session and is repeated in every new one.
 */
export type PartKind = 'rows' | 'schema' | 'session'

/** One statement, as the server takes it. */
export interface Part {
  sql: string
  /** Counted from 1, in the text that it comes from. */
  line: number
  kind: PartKind
  /** Without strings, comments and quoted names, for regular expressions. */
  code: string
}

const dialect = dialects.mysql

/** The body of a routine has semicolons of its own. */
const WHOLE =
  /^(?:create\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+\s+)?(?:aggregate\s+)?(?:event|function|procedure|trigger|package)\b|begin\s+not\s+atomic\b)/i
const ROWS =
  /^(?:insert|update|delete|replace|select|with|call|do|load|values|table|handler|begin\s+not\s+atomic|(?:create|drop)\s+(?:or\s+replace\s+)?temporary)\b|^\(/i

/** The statements of a script. Each `;` ends one, but for those in a body between `-- statement` lines. */
export function partsOf(sql: string): Part[] {
  return splitStatements(sql, dialect).flatMap(({ sql, line }) => {
    const masked = mask(sql, dialect)
    if (WHOLE.test(masked)) return [part(sql.replace(/[\s;]+$/, ''), line)]
    const found: Part[] = []
    let from = 0
    for (const piece of masked.split(';')) {
      const lead = piece.search(/\S/)
      if (lead >= 0) {
        const text = sql.slice(from + lead, from + piece.trimEnd().length)
        found.push(part(text, line + lineOf(sql, from + lead) - 1))
      }
      from += piece.length + 1
    }
    return found
  })
}

function part(sql: string, line: number): Part {
  const code = mask(sql, dialect)
  const kind = ROWS.test(code) ? 'rows' : /^set\b/i.test(code) ? 'session' : 'schema'
  return { sql, line, kind, code }
}

export const hashOf = ({ sql }: Part): string => createHash('sha256').update(sql).digest('hex')

/** What would take the transaction, the session's database or its locks out of our hands. */
const OURS =
  /^(?:(begin\s*(?:$|work\b)|start\s+transaction\b|commit\b|rollback\b(?!\s+(?:work\s+)?to\b)|xa\b)|((?:un)?lock\s+(?:tables?|instance)\b|use\b|set\b.*\bautocommit\b))/is
/** What takes rows away and leaves the schema as it is: nobody could see afterwards whether it happened. */
const UNSEEN = /^truncate\b|^alter\s+table\b.*\b(?:truncate|exchange)\s+partition\b/is

/** Refuses a step before any of it is run, for statements that could not be made to happen exactly once. */
export function refuseUnsafe({ file, direction }: Step, parts: Part[], database: string): void {
  for (const { code, line } of parts) {
    const where = `Migration ${file.name}:${lineInFile(file, direction, line)}, in database "${database}"`
    const [, transaction, session] = OURS.exec(code) ?? []
    if (transaction !== undefined) {
      throw new SaasctlError('MIGRATION_FAILED', `${where}, ends its own transaction. Nothing of it was run.`, {
        hint: 'Take transaction statements out of the file: each run of INSERT, UPDATE and DELETE is one transaction.'
      })
    }
    if (session !== undefined) {
      const words = session.replace(/\s+/g, ' ').toUpperCase()
      throw new SaasctlError('MIGRATION_FAILED', `${where}, says ${words}. Nothing of it was run.`, {
        hint: 'Take it out: the database, its locks and transactions are the migration’s own.'
      })
    }
    if (file.options.transaction && UNSEEN.test(code)) {
      throw new SaasctlError(
        'MIGRATION_FAILED',
        `${where}, empties a table in a way that cannot be told from not having done it. Nothing of it was run.`,
        { hint: 'Use DELETE, or begin the file with "-- saasctl: transaction=false": then it may run twice.' }
      )
    }
  }
}

export const lineInFile = ({ lines }: Step['file'], direction: Step['direction'], line: number): number =>
  (lines?.[direction] ?? 1) + line - 1
