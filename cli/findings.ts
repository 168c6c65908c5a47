import type { Finding } from '../src/engines/engine.js'
import { SaasctlError } from '../src/errors.js'
import type { Desk } from './session.js'
import { plural } from './text.js'

/** What a check gives: some say more than a finding must. */
type Line = Finding & { subject?: string; file?: string; line?: number; fixed?: boolean }

/**
 * Prints what a check found. CHECK_FOUND (exit 8) when there is an error among it that was not mended; warnings alone are
 * no failure.
 */
export function printFindings(
  { print, progress }: Pick<Desk, 'print' | 'progress'>,
  findings: Line[],
  about: string
): void {
  progress.clear()
  print.told(findings, sentences)
  const count = (level: Finding['level']) => findings.filter(line => line.level === level && !line.fixed).length
  const [errors, warnings] = [count('error'), count('warning')]
  if (errors > 0) {
    throw new SaasctlError(
      'CHECK_FOUND',
      `Found ${plural(errors, 'error')} and ${plural(warnings, 'warning')} in ${about}.`,
      {
        hint: 'Do what stands behind the arrows, and check again.'
      }
    )
  }
  progress.notice(
    warnings > 0 ? `Found ${plural(warnings, 'warning')} in ${about}, and no error.` : `All is well with ${about}.`
  )
}

/** Whole sentences and not a table: a fix is there to be copied. */
function sentences({ level, code, subject, file, line, message, fix, fixed }: Line): string[] {
  const place = file === undefined ? subject : `${file}${line === undefined ? '' : `:${line}`}`
  const head = `${(fixed ? 'mended' : level).padEnd(7)}  ${place === undefined ? '' : `${place}: `}${message} [${code}]`
  return fix === undefined || fixed ? [head] : [head, `         → ${fix}`]
}
