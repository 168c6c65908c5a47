import { SaasctlError } from '../../errors.js'
import { type Described, describe } from './fingerprint.js'
import type { Entry, Journal } from './journal.js'
import { recordsOf } from './names.js'
import { hashOf, lineInFile, type Part } from './parts.js'
import type { Step } from './records.js'
import type { Session } from './session.js'
import { unexplained } from './verdict.js'

/** Where to go on, and what the schema is now, if anybody had to look. */
export interface Start {
  position: number
  now: Described | undefined
}

/**
 * Finds out how far an earlier try of this step came: from what it wrote down and what the schema is now, never by guess.
 * MIGRATION_FAILED when the two do not fit together, with what was found and what to do.
 */
export async function resume(session: Session, journal: Journal, step: Step, parts: Part[]): Promise<Start> {
  const entries = await journal.entries()
  const [first] = entries
  if (!first) return { position: 0, now: undefined }
  const now = await describe(session)
  const untouched = first.before === now.fingerprint && entries.every(({ before }) => before !== null)
  const same = first.migration === step.file.name && first.direction === step.direction
  if (!same && !untouched) throw halfDone(first, entries, session)
  const position = untouched ? 0 : await whereItStood(session, entries, step, parts, now)
  const done = entries.filter(entry => entry.position < position)
  const edited = done.find(entry => entry.hash !== hashAt(parts, entry.position))
  if (edited) throw editedAfterwards(step, parts, edited, session)
  await journal.forget(position)
  const last = done.at(-1)
  // Found to be applied by a look at the schema: written down now, like any other.
  if (last && !last.done) await journal.done(last.position, now.fingerprint)
  return { position, now }
}

async function whereItStood(
  session: Session,
  entries: Entry[],
  step: Step,
  parts: Part[],
  now: Described
): Promise<number> {
  const end = (entries.at(-1)?.position ?? -1) + 1
  const last = entries.findLast(({ before }) => before !== null)
  if (!last) return end
  if (last.done && last.after === now.fingerprint) return end
  // Rows that were written behind it are committed: there is no way back before them.
  const undoable = last.position === end - 1
  if (undoable && last.before === now.fingerprint) return last.position
  if (!last.done && undoable) {
    const part = parts[last.position]
    if (part && hashOf(part) === last.hash) {
      const strange = unexplained(part, last.objectsBefore ?? new Map(), now.objects, session.flavour)
      if (strange.length === 0) return end
      throw unclear(step, part, session, strange)
    }
  }
  throw unclear(step, parts[last.position], session, ['the schema is neither what it was before nor after it'])
}

const hashAt = (parts: Part[], position: number) => {
  const part = parts[position]
  return part && hashOf(part)
}

const byHand = ({ place }: Session) =>
  `"DELETE FROM ${recordsOf(place.database)}.journal", as the owner, makes it begin at the first statement again.`

function halfDone({ migration, direction }: Entry, entries: Entry[], session: Session): SaasctlError {
  const done = entries.filter(entry => entry.done).length
  return new SaasctlError(
    'MIGRATION_FAILED',
    `Migration ${migration} (${direction}) was left half done in database "${session.place.database}": ${done} of its statements are.`,
    { hint: `Finish it first, or undo by hand what it did; ${byHand(session)}` }
  )
}

function editedAfterwards({ file, direction }: Step, parts: Part[], entry: Entry, session: Session): SaasctlError {
  const line = lineInFile(file, direction, parts[entry.position]?.line ?? 1)
  return new SaasctlError(
    'MIGRATION_CHANGED',
    `Migration ${file.name}:${line} was edited after the statement there had run in database "${session.place.database}".`,
    { hint: `Put the statements back that have run, and mend only those behind them; ${byHand(session)}` }
  )
}

function unclear({ file, direction }: Step, part: Part | undefined, session: Session, found: string[]): SaasctlError {
  const line = lineInFile(file, direction, part?.line ?? 1)
  return new SaasctlError(
    'MIGRATION_FAILED',
    `Migration ${file.name}:${line}, in database "${session.place.database}", was cut short, and whether the statement there happened is not clear: ${found.join(', ')}.`,
    {
      hint: `Bring the schema by hand to what it was before or after that statement, then migrate again; ${byHand(session)}`,
      data: { found }
    }
  )
}
