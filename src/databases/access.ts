import type { ServerRow } from '../catalog/servers.js'
import type { ServerAccess } from '../engines/engine.js'
import type { Secret } from '../secret.js'
import type { KeyStore } from '../secrets/keystore.js'
import { openSecret, sealSecret } from '../secrets/sealed-secrets.js'

const place = (serverId: string) => ({ owner: serverId, purpose: 'server', version: 1 })

/** Seals a control login's password for its server's row. */
export function sealControlPassword(keys: KeyStore, serverId: string, password: Secret): Promise<Buffer> {
  return sealSecret(keys, 'control', place(serverId), password)
}

/** The control login's way into a server, its password opened. */
export async function serverAccess(keys: KeyStore, server: ServerRow): Promise<ServerAccess> {
  return {
    host: server.host,
    port: server.port,
    tls: server.tls,
    maintenance: server.maintenance,
    control: {
      login: server.controlLogin,
      password: await openSecret(keys, 'control', place(server.id), server.controlPassword)
    }
  }
}
