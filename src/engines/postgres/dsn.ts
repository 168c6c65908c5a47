import type { ServerAddress } from '../engine.js'

/** The connection string as libpq and node-postgres read it; a socket's folder goes into the query. */
export function dsn(server: ServerAddress, database: string, login: string, password?: string): string {
  const { host, port, tls } = server
  const socket = host.startsWith('/')
  const where = socket ? '' : `${host.includes(':') ? `[${host}]` : host}:${port}`
  const who = encodeURIComponent(login) + (password === undefined ? '' : `:${encodeURIComponent(password)}`)
  const query = new URLSearchParams({ ...(socket && { host, port: String(port) }), sslmode: tls.mode })
  return `postgresql://${who}@${where}/${encodeURIComponent(database)}?${query}`
}
