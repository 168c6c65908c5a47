import type { ServerAddress } from '../engine.js'

/** The connection string as the drivers of both flavours read it; a socket goes into the query. */
export function dsn(server: ServerAddress, database: string, login: string, password?: string): string {
  const { host, port, tls } = server
  const socket = host.startsWith('/')
  const where = socket ? 'localhost' : `${host.includes(':') ? `[${host}]` : host}:${port}`
  const who = encodeURIComponent(login) + (password === undefined ? '' : `:${encodeURIComponent(password)}`)
  const mode = tls.mode === 'disable' ? 'DISABLED' : 'VERIFY_IDENTITY'
  const query = new URLSearchParams({ ...(socket && { socketPath: host }), 'ssl-mode': mode })
  return `mysql://${who}@${where}/${encodeURIComponent(database)}?${query}`
}
