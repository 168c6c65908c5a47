import { readInstance } from '../catalog/instance.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { checkCatalog, checkCounts } from './catalog.js'
import type { Diagnosis, DoctorFinding } from './finding.js'
import { checkKeys } from './keys.js'
import { checkLedger } from './ledger.js'
import { checkServers } from './servers.js'
import { checkTenants } from './tenants.js'

export type { DoctorFinding } from './finding.js'

export interface DoctorOptions {
  /** Mends what is provably safe to mend. */
  fix: boolean
  onProgress?: Follow['onProgress']
}

/**
 * In this order, because each mending is seen by the next look: what the ledger finishes is no debris, what a failed
 * creation leaves is dropped, and the databases are counted when all of that is done.
 */
const examinations = [checkLedger, checkCatalog, checkKeys, checkTenants, checkServers, checkCounts]

/** What is told only when the catalog is the present one. */
const OLD = /^(?:tenant|operation|database):/

/** Longest that one mending is waited for; its operation goes on. */
const PATIENCE_MS = 30_000

/**
 * Compares the catalog with every server, both ways. Changes nothing without `fix`; with it, only what the catalog proves
 * to be ours and nobody's, or closed by its own word: never a database that it does not know or that a tenant has.
 * What is found is returned, never thrown; only an unreachable catalog is an error.
 */
export async function doctor(context: Context, options: DoctorOptions): Promise<{ findings: DoctorFinding[] }> {
  const findings: DoctorFinding[] = []
  const rewound = (await readInstance(context.catalog)).restoredAt !== null
  for (const examine of examinations) {
    for (const diagnosis of await examine(context)) {
      // What a restored catalog says of tenants is old: what it says to do about them could undo what came since.
      if (rewound && OLD.test(diagnosis.finding.subject)) continue
      findings.push(options.fix && !rewound ? await mended(context, diagnosis, options) : diagnosis.finding)
    }
  }
  return { findings }
}

async function mended(
  context: Context,
  { finding, mend }: Diagnosis,
  { onProgress }: DoctorOptions
): Promise<DoctorFinding> {
  if (!mend) return finding
  try {
    await mend(context, { onProgress, timeoutMs: PATIENCE_MS })
    return { ...finding, fixed: true }
  } catch (thrown) {
    return { ...finding, message: `${finding.message} Mending it failed: ${asSaasctlError(thrown).message}` }
  }
}
