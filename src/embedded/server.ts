import { join } from 'node:path'
import { Secret } from '../secret.js'
import type { Postmaster } from './pid-file.js'
import { dataDirOf } from './place.js'
import type { ClusterRecord } from './record.js'

export const SUPERUSER = 'postgres'
/** Owns the catalog's database and runs its migrations. */
export const ADMIN = 'saasctl_admin'
/** The control login for tenant databases on the embedded server. */
export const CONTROL = 'saasctl_server'
export const CATALOG = 'saasctl'

interface Login {
  login: string
  password: Secret
}

/** A running embedded server and the ways into it. */
export interface EmbeddedServer {
  version: string
  major: number
  host: '127.0.0.1'
  port: number
  pid: number
  dataDir: string
  binDir: string
  logFile: string
  /** Lets the superuser in, and nobody else; TCP lets everybody else in, and never the superuser. */
  socketDir: string
  superuser: Login
  /** The database for the catalog, and the login that owns it and migrates it (CREATEROLE). */
  catalog: { database: string; owner: Login }
  /** For tenant databases on this server; enters database `postgres`. CREATEDB, CREATEROLE, pg_signal_backend. */
  control: Login
}

export function describeServer(
  place: string,
  record: ClusterRecord,
  { pid, port, socketDir }: Postmaster
): EmbeddedServer {
  const { version, major, binDir, passwords } = record
  const login = (name: string, password: string) => ({ login: name, password: new Secret(password) })
  return {
    version,
    major,
    host: '127.0.0.1',
    port,
    pid,
    dataDir: dataDirOf(place),
    binDir,
    logFile: logOf(place),
    socketDir,
    superuser: login(SUPERUSER, passwords.superuser),
    catalog: { database: CATALOG, owner: login(ADMIN, passwords.admin) },
    control: login(CONTROL, passwords.control)
  }
}

export function logOf(place: string): string {
  return join(place, 'server.log')
}
