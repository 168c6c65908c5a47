import { isIP } from 'node:net'
import { userInfo } from 'node:os'

/** An address of the catalog, readable to its end. */
export function postgresUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Error('is not a URL; write postgres://LOGIN@HOST:PORT/DATABASE')
  }
  if (!/^postgres(ql)?:$/.test(url.protocol)) throw new Error('must begin with postgres://')
  if (url.pathname.length < 2) throw new Error('names no database')
  try {
    for (const part of [url.username, url.password, url.pathname]) decodeURIComponent(part)
  } catch {
    throw new Error('has a % that begins no escape; write %25 for the character itself')
  }
  return text
}

/** Addresses, because a name server cannot be asked where it is itself. */
export function nameServers(text: string): string[] {
  return text.split(',').map(part => {
    const server = part.trim()
    const [, address = server, port = '53'] = /^(?:\[(.+)\]|([\d.]+)):(\d+)$/.exec(server)?.filter(Boolean) ?? []
    if (isIP(address) > 0 && Number(port) > 0 && Number(port) < 65_536) return server
    throw new Error('must be addresses of name servers, as in 1.1.1.1 or 127.0.0.1:5353')
  })
}

/** Whose process this is, for the trail. */
export function osUser(): string {
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}
