import { createHash } from 'node:crypto'

/** A value that JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined }

/** Canonical JSON (RFC 8785): keys sorted by UTF-16 code units, no spaces, undefined members left out. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .flatMap(key => {
      const member = value[key]
      return member === undefined ? [] : [`${JSON.stringify(key)}:${canonical(member)}`]
    })
  return `{${members.join(',')}}`
}

/** SHA-256 of the canonical form, hex: equal for equal values, whatever the order of their keys. */
export function checksum(value: Json): string {
  return createHash('sha256').update(canonical(value)).digest('hex')
}
