import type { EngineName } from '../src/engines/engine.js'
import { SaasctlError } from '../src/errors.js'

export interface Address {
  engine: EngineName
  host: string
  port: number | undefined
  login: string
  maintenance?: string
}

const engines: Record<string, EngineName> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql'
}

/** A server's place from `postgres://LOGIN@HOST:PORT/DATABASE`, from flags, or from both; a flag wins. USAGE names what is missing. */
export function readAddress(text: string | undefined, flags: Partial<Address>): Address {
  const url = text === undefined ? {} : partsOf(text)
  const {
    engine = url.engine ?? 'postgres',
    host = url.host,
    login = url.login,
    port = url.port,
    maintenance = url.maintenance
  } = flags
  if (host === undefined || login === undefined) {
    throw new SaasctlError('USAGE', `The server’s ${host === undefined ? 'host' : 'control login'} is missing.`, {
      hint: 'Write postgres://LOGIN@HOST:PORT after its name, or --host and --login.'
    })
  }
  return { engine, host, port, login, ...(maintenance !== undefined && { maintenance }) }
}

function partsOf(text: string): Partial<Address> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const engine = url && engines[url.protocol]
  if (!url || !engine) {
    throw new SaasctlError('INVALID_INPUT', 'The address is not one of a database server.', {
      hint: 'Write it as postgres://LOGIN@HOST:PORT.'
    })
  }
  const database = decodeURIComponent(url.pathname.slice(1))
  return {
    engine,
    ...(url.hostname && { host: url.hostname.replace(/^\[(.*)\]$/, '$1') }),
    ...(url.port && { port: Number(url.port) }),
    ...(url.username && { login: decodeURIComponent(url.username) }),
    ...(database && { maintenance: database })
  }
}
