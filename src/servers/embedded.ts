import { listServers, updateServer } from '../catalog/servers.js'
import type { EngineName } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { addServer } from './add.js'

/** A server that is run for this home alone, as its row in the catalog has it. */
export interface KeptServer {
  name: string
  engine: EngineName
  host: string
  port: number
  control: { login: string; password: Secret }
}

/**
 * Keeps the embedded server in the catalog: adds it at first use; after a restart on another port
 * its row follows.
 */
export async function keepEmbeddedServer(context: Context, server: KeptServer): Promise<void> {
  const servers = await listServers(context.catalog)
  const known = servers.find(row => row.embedded && row.engine === server.engine)
  if (known) {
    if (known.port !== server.port) await updateServer(context.catalog, known.id, { port: server.port })
    return
  }
  await addServer(context, {
    name: server.name,
    engine: server.engine,
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
