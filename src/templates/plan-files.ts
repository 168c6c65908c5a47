import { checksum } from '../canonical.js'
import type { DatabaseLimits } from '../engines/engine.js'
import { Reading } from './reading.js'
import { camelCase, durationText, map, name, object, orNull, type Report, text, wholeNumber, yesOrNo } from './shape.js'

/** What a tenant has bought. `null` is no limit, wherever it stands. */
export interface Plan {
  readonly name: string
  /** For people: on invoices, in lists. */
  readonly displayName: string
  /** Kept by the database server. */
  readonly limits: Readonly<DatabaseLimits>
  /** Kept by the router, for all of the tenant's requests in one router. */
  readonly requests: { readonly perSecond: number | null; readonly concurrent: number | null }
  /** For the application: `request.tenant.can('sso')`. Every plan answers for every feature. */
  readonly features: Readonly<Record<string, boolean>>
  /** For the application: `request.tenant.limit('projects')`. Every plan answers for every quota. */
  readonly quotas: Readonly<Record<string, number | null>>
  /** How its tenants are backed up by themselves; without it they are not. */
  readonly backup?: Readonly<BackupPolicy>
  /** SHA-256 of the content, hex: the same for the same content, however it is written down. */
  readonly checksum: string
}

export interface BackupPolicy {
  /** A backup so often, as in `24h`. */
  readonly every: string
  /** How many days, weeks and months keep their newest backup. */
  readonly keep: { readonly daily: number; readonly weekly: number; readonly monthly: number }
  /** The newest backup is restored and compared so often, as in `30d`; null is never by itself. */
  readonly drill: string | null
}

type PlanDefinition = Omit<Plan, 'name' | 'checksum'>

const DAY_MS = 86_400_000

const plans = map(
  name,
  object<PlanDefinition>(
    {
      displayName: text,
      limits: object<DatabaseLimits>({
        // One connection deadlocks a request that holds it and asks for a second.
        connections: wholeNumber(2, 10_000),
        statementTimeoutMs: orNull(wholeNumber(1, DAY_MS)),
        idleInTransactionMs: orNull(wholeNumber(1, DAY_MS)),
        tempFileMb: orNull(wholeNumber(1, 1_048_576))
      }),
      requests: object<Plan['requests']>({
        perSecond: orNull(wholeNumber(1, 1_000_000)),
        concurrent: orNull(wholeNumber(1, 1_000_000))
      }),
      features: map(camelCase, yesOrNo),
      quotas: map(camelCase, orNull(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    },
    {
      backup: object<BackupPolicy>({
        every: durationText('5m', '366d'),
        keep: object<BackupPolicy['keep']>({
          daily: wholeNumber(1, 1000),
          weekly: wholeNumber(0, 1000),
          monthly: wholeNumber(0, 1000)
        }),
        drill: orNull(durationText('1h', '366d'))
      })
    }
  )
)

/**
 * Reads `plans.json` of a templates folder: the plans in the file's order, frozen.
 * Throws CONFIG_INVALID with every problem of the file.
 */
export async function loadPlans(folder: string): Promise<readonly Plan[]> {
  const reading = new Reading(folder)
  const found = await readPlans(reading)
  reading.end()
  return found
}

/** As `loadPlans`, as part of a reading that has more to read. */
export async function readPlans(reading: Reading): Promise<readonly Plan[]> {
  const json = await reading.json('plans.json')
  if (json === undefined) return []
  const report = reading.report('plans.json')
  const definitions = plans(json, '', report) ?? {}
  sameKeys(definitions, 'features', report)
  sameKeys(definitions, 'quotas', report)
  if (reading.clean && Object.keys(definitions).length === 0) report('', 'has no plan')
  return Object.freeze(
    Object.entries(definitions).map(([name, definition]) =>
      Object.freeze({ name, ...definition, checksum: checksum({ name, ...definition }) })
    )
  )
}

/** A feature that one plan forgot would read as "no", and a forgotten quota as "no limit". */
function sameKeys(definitions: Record<string, PlanDefinition>, kind: 'features' | 'quotas', report: Report): void {
  const owners = new Map<string, string>()
  for (const [name, plan] of Object.entries(definitions)) {
    for (const key of Object.keys(plan[kind])) if (!owners.has(key)) owners.set(key, name)
  }
  for (const [name, plan] of Object.entries(definitions)) {
    for (const [key, owner] of owners) {
      if (!Object.hasOwn(plan[kind], key)) report(`${name}.${kind}.${key}`, `is missing; "${owner}" has it`)
    }
  }
}
