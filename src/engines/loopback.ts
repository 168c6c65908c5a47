import { isIP } from 'node:net'

/** Whether what is sent there stays on this machine: a socket or its folder, `localhost`, 127.0.0.0/8 or ::1. */
export function isLoopback(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
