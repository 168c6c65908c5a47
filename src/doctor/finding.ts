import type { Finding } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'

/** One line of `saasctl doctor`. */
export interface DoctorFinding extends Finding {
  /** What it is about: `catalog`, `keys`, `server:main`, `tenant:acme`, `database:t…`, `operation:<id>`. */
  subject: string
  /** This run mended it. */
  fixed?: boolean
}

/** Mends one thing, by an operation or an audited catalog transaction. Throws when the thing is not as it was found. */
export type Mend = (context: Context, follow: Follow) => Promise<unknown>

/** A finding with what mends it; without `mend` only a person can tell what is right. */
export interface Diagnosis {
  finding: DoctorFinding
  mend?: Mend
}

type Level = DoctorFinding['level']

function diagnosis(level: Level, code: string, subject: string, message: string, fix?: string, mend?: Mend): Diagnosis {
  return { finding: { level, code, subject, message, ...(fix !== undefined && { fix }) }, ...(mend && { mend }) }
}

type Say = (code: string, subject: string, message: string, fix?: string) => Diagnosis

export const fine: Say = (code, subject, message) => diagnosis('ok', code, subject, message)
export const warning: Say = (code, subject, message, fix) => diagnosis('warning', code, subject, message, fix)
export const wrong: Say = (code, subject, message, fix) => diagnosis('error', code, subject, message, fix)

/** The same finding, as one that `doctor --fix` mends. */
export function mendable({ finding }: Diagnosis, mend: Mend): Diagnosis {
  return { finding: { ...finding, fix: finding.fix ?? 'saasctl doctor --fix' }, mend }
}
