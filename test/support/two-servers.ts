import { Secret } from '../../src/secret.js'
import { addServer } from '../../src/servers/add.js'
import { type ControlPlane, controlPlane } from './control-plane.js'
import { type Binaries, controlLogin, startServer, type TestServer } from './servers.js'
import { type TinyTemplate, tinyTemplate } from './tiny-template.js'

export interface TwoServers {
  plane: ControlPlane
  tenants: TestServer
  template: TinyTemplate
  close(): Promise<void>
}

export interface TwoServersOptions {
  binaries?: Binaries
  env?: Record<string, string>
  /** The port that the control plane knows the tenant server by: a proxy's, for example. */
  port?: (tenants: TestServer) => Promise<number>
  capacity?: number
}

/** A killed server must not lose what it said it had committed; the suite's servers are otherwise faster than that. */
export const durable = { synchronous_commit: 'on' }

/** The catalog on one server, the tenants on another: each can be killed without the other. */
export async function twoServers(options: TwoServersOptions = {}): Promise<TwoServers> {
  const { binaries, env } = options
  const template = await tinyTemplate()
  const some = { ...(binaries && { binaries }), config: durable }
  const plane = await controlPlane({
    ...some,
    addServer: false,
    env: { ...template.env, SAASCTL_LEASE: '400ms', ...env }
  })
  const tenants = await startServer(some)
  const { login, password } = await controlLogin(tenants)
  await addServer(plane.saasctl, {
    name: 'tenants',
    engine: 'postgres',
    host: tenants.host,
    port: (await options.port?.(tenants)) ?? tenants.port,
    login,
    password: new Secret(password)
  })
  return {
    plane,
    tenants,
    template,
    close: async () => {
      await plane.close()
      await tenants.stop()
      await template.remove()
    }
  }
}
