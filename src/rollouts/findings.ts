import type { EngineName, LintFinding } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Schemas } from './schema.js'

/** What the lint says of one of a rollout's files, and the biggest tenant that the statement would hit. */
export interface RolloutFinding extends LintFinding {
  engine: EngineName
  /** Somebody has looked and it is meant: it does not stop the rollout. */
  allowed: boolean
  /** The size is the table's, where one is named and the tenant could be asked; the whole database's otherwise. */
  hits?: { slug: string; bytes: number; table: boolean }
}

export async function lintFiles(
  context: Context,
  schemas: Schemas,
  migrations: Record<string, string[]>,
  allow: string[]
): Promise<RolloutFinding[]> {
  const findings: RolloutFinding[] = []
  for (const [engine, { files }] of schemas) {
    const names = new Set(migrations[engine] ?? [])
    if (names.size === 0) continue
    // Those before are read too: what they say of a column decides what a later one costs.
    const found = await (await context.engine(engine)).lint(files)
    for (const finding of found) {
      if (!names.has(finding.file.replace(/\.sql$/, ''))) continue
      findings.push({ ...finding, engine, allowed: allow.includes(finding.code) })
    }
  }
  return findings
}

/** ROLLOUT_REFUSED names the first error of the lint that nobody allowed. */
export function checkFindings(findings: RolloutFinding[], allow: string[], id: string): void {
  const [first, ...others] = findings.filter(
    ({ level, code, allowed }) => level === 'error' && !allowed && !allow.includes(code)
  )
  if (!first) return
  const more = others.length > 0 ? ` (and ${others.length} more)` : ''
  throw new SaasctlError(
    'ROLLOUT_REFUSED',
    `The lint stands against rollout ${id}: ${first.file}:${first.line}, ${first.code}: ${first.message}${more}`,
    { hint: `${first.fix ?? 'Mend the file.'} Or go on with --allow ${first.code}.` }
  )
}
