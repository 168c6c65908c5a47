import { isIP } from 'node:net'
import type { SslOptions } from 'mysql2'
import { SaasctlError } from '../../errors.js'
import type { ServerAddress } from '../engine.js'

/** How the driver is told to speak TLS; undefined for none. Plaintext is refused off loopback. */
export function tlsOf({ host, tls }: ServerAddress): SslOptions | undefined {
  if (tls.mode === 'verify-full') {
    return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(tls.ca !== undefined && { ca: tls.ca }) }
  }
  if (isLoopback(host)) return undefined
  throw new SaasctlError('INVALID_INPUT', `TLS cannot be disabled for "${host}": it is not on this machine.`, {
    hint: 'Use tls mode "verify-full", with the PEM of the authority when it is not one of the system’s.'
  })
}

/** A socket, `localhost`, 127.0.0.0/8 or ::1. */
function isLoopback(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
