import type { ServerAddress } from '../engine.js'

/** As mysql2 takes it, in which Node's applications speak to both flavours; a socket goes into the query. */
export function dsn(server: ServerAddress, database: string, login: string, password?: string): string {
  const { host, port, tls } = server
  const socket = host.startsWith('/')
  const where = socket ? 'localhost' : `${host.includes(':') ? `[${host}]` : host}:${port}`
  const who = encodeURIComponent(login) + (password === undefined ? '' : `:${encodeURIComponent(password)}`)
  const query = new URLSearchParams({
    ...(socket && { socketPath: host }),
    ...(tls.mode === 'verify-full' && { ssl: JSON.stringify({ verifyIdentity: true }) })
  })
  return `mysql://${who}@${where}/${encodeURIComponent(database)}${query.size > 0 ? `?${query}` : ''}`
}
