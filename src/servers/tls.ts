import type { Tls } from '../engines/engine.js'
import { isLoopback } from '../engines/loopback.js'

/** Plain text stays on the machine: everywhere else the server must prove who it is. */
export function defaultTls(host: string): Tls {
  return isLoopback(host) ? { mode: 'disable' } : { mode: 'verify-full' }
}
