import type { SaasctlError } from '../src/errors.js'
import { plain } from './text.js'

/**
 * One sentence on stderr and what to do next; with `-o json` or `ndjson` one object on one line with
 * `code message hint operationId`.
 */
export function complain(error: SaasctlError, { json, verbose }: { json: boolean; verbose: boolean }): void {
  process.stderr.write(json ? `${JSON.stringify(error)}\n` : sentences(error, verbose))
}

function sentences(error: SaasctlError, verbose: boolean): string {
  const colors = process.stderr.isTTY && process.stderr.hasColors()
  const red = (text: string) => (colors ? `\u001b[31m${text}\u001b[39m` : text)
  const lines = [`${red('error:')} ${plain(error.message)}`]
  for (const other of error.also) lines.push(`  also: ${plain(other.message)}`)
  if (error.hint) lines.push(`→ ${plain(error.hint)}`)
  const { operationId } = error
  if (operationId && !error.hint?.includes(operationId))
    lines.push(`→ See its steps with "saasctl operation show ${operationId}".`)
  if (verbose)
    lines.push(
      `code: ${error.code}`,
      plain(error.stack ?? ''),
      ...(error.cause === undefined ? [] : [plain(stackOf(error.cause))])
    )
  return `${lines.join('\n')}\n`
}

function stackOf(cause: unknown): string {
  return `caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
}
