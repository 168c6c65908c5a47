import { readdir } from 'node:fs/promises'
import { SaasctlError } from '../errors.js'
import type { Queryable } from './catalog.js'

export interface Instance {
  incarnation: string
  schemaVersion: number
  oldestProgram: number
  keysBackedUpAt: Date | null
  catalogBackedUpAt: Date | null
  /** It was put back from a backup then, and is not declared the present one yet. */
  restoredAt: Date | null
}

/** Where the catalog's migrations are: beside `dist` in the package, wherever it is installed. */
export const migrationsFolder = new URL('../../../catalog-migrations/', import.meta.url)

/** The schema version this program was written for: the number of its newest migration. */
export async function programVersion(): Promise<number> {
  const files = (await readdir(migrationsFolder)).filter(name => name.endsWith('.sql'))
  return Math.max(...files.map(name => Number.parseInt(name, 10)))
}

/** Reads the catalog's own row; CATALOG_UNMIGRATED when there is none. */
export async function readInstance(catalog: Queryable): Promise<Instance> {
  const [row] = await catalog.query<Instance>(
    `select incarnation, schema_version as "schemaVersion", oldest_program as "oldestProgram",
       keys_backed_up_at as "keysBackedUpAt", catalog_backed_up_at as "catalogBackedUpAt",
       restored_at as "restoredAt" from saasctl.instance`
  )
  if (!row)
    throw new SaasctlError('CATALOG_UNMIGRATED', 'The catalog has no schema yet.', {
      hint: 'Run "saasctl catalog migrate".'
    })
  return row
}

/** A program works on its own schema version and on newer ones that still allow it. */
export async function checkVersion(instance: Instance): Promise<void> {
  const program = await programVersion()
  if (instance.schemaVersion < program) {
    throw new SaasctlError(
      'CATALOG_BEHIND',
      `The catalog is at version ${instance.schemaVersion}; this program needs ${program}.`,
      {
        hint: 'Run "saasctl catalog migrate".'
      }
    )
  }
  if (instance.oldestProgram > program) {
    throw new SaasctlError(
      'CATALOG_AHEAD',
      `The catalog was migrated to version ${instance.schemaVersion} by a newer saasctl; this one knows version ${program}.`,
      { hint: 'Install the newer saasctl.' }
    )
  }
}

/** What a restored catalog believes to be due may be undone since: CATALOG_STATE until it is adopted. */
export async function refuseRewound(catalog: Queryable): Promise<void> {
  const { restoredAt } = await readInstance(catalog)
  if (!restoredAt) return
  throw new SaasctlError('CATALOG_STATE', 'The catalog was restored from a backup and is not adopted yet.', {
    hint: 'Run "saasctl catalog adopt" first.'
  })
}
