import { createHash } from 'node:crypto'
import { quoteInput } from '../names.js'
import type { MigrationFile, MigrationOptions } from './engine.js'
import { readOptions } from './migration-options.js'
import { type Dialect, lineOf, markers, mask, splitStatements } from './statements.js'

export type Report = (line: number, message: string) => void

/** Parses one file, and reports everything that is wrong with it. */
export function parseMigration(file: string, bytes: Buffer, dialect: Dialect, report: Report): MigrationFile {
  const text = decode(bytes, report)
  const { up, down, lines } = parts(text, report)
  const options = readOptions(text, report)
  for (const [part, line] of [
    [up, lines.up],
    [down ?? '', lines.down]
  ] as const) {
    inspect(part, line, options, dialect, report)
  }
  return {
    name: file.slice(0, -4),
    up,
    down,
    lines,
    checksum: createHash('sha256').update(bytes).digest('hex'),
    options
  }
}

function decode(bytes: Buffer, report: Report): string {
  const text = bytes.toString('utf8')
  if (text.startsWith('\ufeff')) report(1, 'begins with a byte order mark: save it as UTF-8 without one')
  const bad = Math.max(text.indexOf('\ufffd'), text.indexOf('\u0000'))
  if (bad >= 0) report(lineOf(text, bad), 'is not UTF-8 text here')
  return text
}

const mark = (direction: string) => new RegExp(`^\\s*--[\\s-]*${direction}\\s+migration`, 'im')

/** The two parts, cut where node-pg-migrate cuts. It would run a whole file up that has a down line alone. */
function parts(
  text: string,
  report: Report
): Pick<MigrationFile, 'up' | 'down'> & { lines: { up: number; down: number } } {
  const up = text.search(mark('up'))
  const down = text.search(mark('down'))
  for (const direction of ['up', 'down']) {
    const [, second] = text.matchAll(new RegExp(mark(direction), 'gim'))
    if (second)
      report(lineOf(text, second.index + second[0].search(/-/)), `has a second "-- ${direction} migration" line`)
  }
  if (up < 0 && down >= 0) report(lineOf(text, down), 'has a "-- Down Migration" line but no "-- Up Migration" line')
  return {
    up: up < 0 ? text : text.slice(up, down < up ? undefined : down),
    down: down < 0 ? null : text.slice(down, up < down ? undefined : up),
    lines: { up: lineOf(text, Math.max(up, 0)), down: lineOf(text, Math.max(down, 0)) }
  }
}

/** Statements that would end the transaction which keeps a migration and its ledger row together. */
const ENDS_TRANSACTION =
  /(?:^|;)\s*(begin\s*(?:;|$|work\b|transaction\b|isolation\b)|start\s+transaction\b|commit\b|abort\b|prepare\s+transaction\b|rollback\b(?!\s+(?:work\s+|transaction\s+)?to\b))/i

/** The body of a routine may be written without quotes. */
const ROUTINE =
  /^create\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+\s+)?(?:aggregate|event|function|procedure|trigger)\b/i

function transactionEnd(sql: string, dialect: Dialect): { index: number; text: string } | undefined {
  if (ROUTINE.test(sql)) return undefined
  const found = ENDS_TRANSACTION.exec(mask(sql, dialect))
  const text = found?.[1]
  return found && text ? { index: found.index + found[0].lastIndexOf(text), text: text.toUpperCase() } : undefined
}

function inspect(part: string, firstLine: number, options: MigrationOptions, dialect: Dialect, report: Report): void {
  const masked = mask(part, dialect)
  const wraps = markers(part, masked)
  const last = wraps.at(-1)
  if (last && wraps.length % 2 === 1) {
    report(firstLine + lineOf(part, last.start) - 1, 'has a "-- statement" line without its partner')
  }
  for (const { sql, line } of splitStatements(part, dialect)) {
    const at = firstLine + line - 1
    if (sql.startsWith('\\')) report(at, `has a command for psql, which only psql understands: ${quoteInput(sql)}`)
    if (/^delimiter\b/i.test(sql)) {
      report(
        at,
        'has a DELIMITER line, which only the mysql program understands: put a body that has ";" between two lines that say just "-- statement"'
      )
    }
    const hidden = dialect.flatComments ? sql.search(/^\/\*M?!/) : -1
    if (hidden >= 0) report(at, 'hides a statement in a comment, which one server runs and another does not')
    const ends = options.transaction && transactionEnd(sql, dialect)
    if (ends) report(at + lineOf(sql, ends.index) - 1, `ends the transaction that its migration runs in: ${ends.text}`)
  }
}
