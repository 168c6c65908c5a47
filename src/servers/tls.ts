import type { Tls } from '../engines/engine.js'

/** Plain text stays on the machine: everywhere else the server must prove who it is. */
export function defaultTls(host: string): Tls {
  return isLoopback(host) ? { mode: 'disable' } : { mode: 'verify-full' }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('/') || /^127(\.\d{1,3}){3}$/.test(host)
}
