import type { Finding } from '../src/engines/engine.js'
import { SaasctlError } from '../src/errors.js'
import type { Desk } from './session.js'
import { plural } from './text.js'

/** Prints what a check found. CHECK_FOUND (exit 8) when there is an error among it; warnings alone are no failure. */
export function printFindings(
  { print, progress }: Pick<Desk, 'print' | 'progress'>,
  findings: Finding[],
  subject: string
): void {
  progress.clear()
  print.list(findings, ['level', 'code', 'message', 'fix'])
  // What doctor has mended is no news any more.
  const left = findings.filter(finding => !('fixed' in finding && finding.fixed))
  const count = (level: Finding['level']) => left.filter(finding => finding.level === level).length
  const [errors, warnings] = [count('error'), count('warning')]
  if (errors > 0) {
    throw new SaasctlError(
      'CHECK_FOUND',
      `${plural(errors, 'error')} and ${plural(warnings, 'warning')} on ${subject}.`,
      {
        hint: 'Do what stands under FIX, and check again.'
      }
    )
  }
  progress.notice(
    warnings > 0 ? `${plural(warnings, 'warning')} on ${subject}, no error.` : `Nothing is wrong with ${subject}.`
  )
}
