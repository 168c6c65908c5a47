import { isIP } from 'node:net'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { duration } from './duration.js'

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

export function path(text: string, base: string): string {
  return resolve(base, text)
}

export function webAddress(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new Error('must begin with https://')
  return text
}

export function yesOrNo(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return false
  throw new Error('must be yes or no')
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

export function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1000) throw new Error('must be a whole number from 1 to 1000')
  return value
}

/** A duration within bounds, where nothing or a century would do harm. */
export function between(least: string, most: string): (text: string) => number {
  return text => {
    const value = duration(text)
    if (value < duration(least) || value > duration(most)) throw new Error(`must be from ${least} to ${most}`)
    return value
  }
}

export function osUser(): string {
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}
