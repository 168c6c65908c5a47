import { checkServerIdentity, type TLSSocket } from 'node:tls'
import type { Connection } from 'mysql2'

/** The part of the driver's connection that goes over to TLS; its types leave it out. */
interface Upgrading {
  stream: TLSSocket
  startTLS(secured: (error?: Error) => void): void
}

/**
 * Compares the certificate with the host before anything of the login is sent. The driver does that for names alone: where
 * the host is an IP address it asks for `localhost`.
 */
export function verifyHost(connection: Connection, host: string): void {
  const upgrading = connection as unknown as Upgrading
  const start = upgrading.startTLS
  upgrading.startTLS = secured =>
    start.call(upgrading, error => secured(error ?? checkServerIdentity(host, upgrading.stream.getPeerCertificate())))
}
