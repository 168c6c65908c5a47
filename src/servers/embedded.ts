import { listServers, updateServer } from '../catalog/servers.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { addServer } from './add.js'

/** What each server that is run for a home alone is called in the catalog. */
const rows = {
  catalog: { name: 'local', engine: 'postgres' },
  beside: { name: 'local-mysql', engine: 'mysql' }
} as const

export interface KeptServer {
  host: string
  port: number
  control: { login: string; password: Secret }
}

/**
 * Keeps the embedded server in the catalog: adds it at first use; after a restart on another port
 * its row follows.
 */
export async function keepEmbeddedServer(
  context: Context,
  which: keyof typeof rows,
  server: KeptServer
): Promise<void> {
  const servers = await listServers(context.catalog)
  const known = servers.find(row => row.embedded && row.engine === rows[which].engine)
  if (known) {
    if (known.port !== server.port) await updateServer(context.catalog, known.id, { port: server.port })
    return
  }
  await addServer(context, {
    ...rows[which],
    host: server.host,
    port: server.port,
    login: server.control.login,
    password: server.control.password,
    embedded: true
  }).catch(error => {
    // Two first commands at once: the other one has added it.
    if ((error as { code?: string }).code !== 'SERVER_EXISTS') throw error
  })
}
