import { checkServerIdentity } from 'node:tls'
import type { SslOptions } from 'mysql2'
import QuickLRU from 'quick-lru'
import type { ServerAddress } from '../../engine.js'
import { tlsOf } from '../connect.js'
import type { Wire } from './wire.js'

/** The driver keeps certificates and sessions by this object: made anew for each login, it would cost 5 ms more. */
const known = new QuickLRU<string, SslOptions>({ maxSize: 1_000 })
/** Objects whose server was another than it should be: their sessions are worth nothing. */
const strangers = new WeakSet<SslOptions>()

/** How the driver speaks TLS with a server; undefined where it does not. `checkHost` does what it leaves out. */
export function sslFor(address: ServerAddress): SslOptions | undefined {
  const name = address.tls.mode === 'disable' ? '' : JSON.stringify(address)
  const ssl = known.get(name)
  if (ssl && !strangers.has(ssl)) return ssl
  const tls = tlsOf(address)
  if (typeof tls !== 'object') return undefined
  const made = { ...tls, verifyIdentity: false }
  known.set(name, made)
  return made
}

/**
 * Compares the certificate with the host before anything of the login is sent. The driver can do that for names only: it
 * takes `localhost` in the place of an IP address. A resumed session shows no certificate, and began with one that was good.
 */
export function checkHost(wire: Wire, host: string): void {
  const { ssl } = wire.config
  const start = wire.startTLS
  const verify = () => {
    if (wire.stream.isSessionReused() && !strangers.has(ssl)) return undefined
    const wrong = checkServerIdentity(host, wire.stream.getPeerCertificate())
    if (wrong) strangers.add(ssl)
    return wrong
  }
  wire.startTLS = secured => start.call(wire, error => secured(error ?? verify()))
}
