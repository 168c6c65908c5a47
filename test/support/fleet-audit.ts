import type { Saasctl } from '../../src/saasctl.js'
import { auditChains } from './fleet/chains.js'
import { auditDoors } from './fleet/doors.js'
import { auditLedger } from './fleet/ledger.js'
import { auditMysqlServer } from './fleet/mysql-server.js'
import { readFleet } from './fleet/read.js'
import { auditServer } from './fleet/server.js'
import type { MariadbServer } from './mariadb-server.js'
import type { TestServer } from './servers.js'

export interface FleetAuditOptions {
  /** The servers that hold tenants; by default the one that the catalog is on. */
  servers?: TestServer[]
  /** The MariaDB that holds the tenants of every server of its engine. */
  mysql?: MariadbServer | undefined
  /** False after a server itself was killed: PostgreSQL leaves the folder of a half-made database behind, and never uses it. */
  folders?: boolean
}

/**
 * What must be true of the whole fleet whatever was broken before, once every operation is over: catalog and servers say
 * the same of every database, login, right and limit; nothing of ours is on a server that the catalog does not have;
 * no operation, session or lock is left; every audit chain is whole. One sentence for each thing that is wrong.
 */
export async function fleetAudit(
  plane: { saasctl: Saasctl; server: TestServer },
  { servers = [plane.server], mysql, folders = true }: FleetAuditOptions = {}
): Promise<string[]> {
  const fleet = await readFleet(plane.saasctl)
  const findings = [...auditLedger(fleet), ...(await auditChains(plane.saasctl.catalog, fleet))]
  for (const server of fleet.servers) {
    if (mysql && server.engine === 'mysql') {
      findings.push(...(await auditMysqlServer(fleet, server, mysql)))
      continue
    }
    // One that is known by a proxy's port is recognized by being the only one.
    const test = servers.length === 1 ? servers[0] : servers.find(({ port }) => port === server.port)
    if (!test) findings.push(`Server ${server.name} is not one of the test's.`)
    else findings.push(...(await auditServer(fleet, server, test, folders)))
  }
  findings.push(...(await auditDoors(plane.saasctl, fleet)))
  return findings
}
