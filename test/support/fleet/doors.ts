import { gather } from '../../../src/databases/work.js'
import { asSaasctlError } from '../../../src/errors.js'
import type { Saasctl } from '../../../src/saasctl.js'
import { type Fleet, type FleetDatabase, isLive, openLogins } from './read.js'

/** How many databases are looked at side by side. */
const atOnce = 4

/** Logs in to every database that is open, with what the catalog has sealed, and looks where it came to. */
export async function auditDoors(saasctl: Saasctl, { databases }: Fleet): Promise<string[]> {
  const waiting = databases.filter(row => isLive(row) && row.kind === 'tenant')
  const findings: string[] = []
  const lane = async () => {
    for (let database = waiting.pop(); database; database = waiting.pop()) {
      try {
        findings.push(...(await look(saasctl, database)))
      } catch (error) {
        findings.push(`Database ${database.name} (${database.state}): ${asSaasctlError(error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return findings
}

async function look(saasctl: Saasctl, database: FleetDatabase): Promise<string[]> {
  const { engine, access, logins } = await gather(saasctl, database.id)
  // The owner logs in below.
  for (const role of openLogins(database).filter(role => role !== 'owner')) {
    await engine.identify(access, database.name, await logins.credentials(role), database.id)
  }
  if (!openLogins(database).includes('owner')) return []
  const applied = await engine.appliedMigrations(access, database.name, await logins.credentials('owner'))
  const last = applied.at(-1)?.name ?? null
  return last === database.migration
    ? []
    : [`Database ${database.name} stands at ${last}, the catalog says ${database.migration}.`]
}
