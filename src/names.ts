import { randomBytes } from 'node:crypto'
import { domainToASCII } from 'node:url'
import { SaasctlError } from './errors.js'

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** A customer's name for people: it may change, and no server ever sees it. */
export type Slug = Branded<string, 'Slug'>
/** A name of ours on a database server: opaque, never reused, without `_` or `%` (MySQL's GRANT reads both as wildcards). */
export type ServerObjectName = Branded<string, 'ServerObjectName'>

const SLUG = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){2,39}$/

/** Words that would read as part of the product in a hostname, a path or a command. */
const RESERVED = new Set(
  (
    'admin administrator api app assets auth billing catalog console constructor control dashboard default dev docs embedded example ' +
    'ftp help host internal localhost login logout mail metrics mysql new none null operator postgres postgresql proxy ' +
    'public root router saasctl security server signup smtp staff static status support system template tenant tenants ' +
    'test undefined user users warm webmaster worker www'
  ).split(' ')
)

/** Parses a slug at the edge. Says which rule was broken, and never repeats a long or unprintable input in full. */
export function parseSlug(input: unknown): Slug {
  if (typeof input !== 'string' || !SLUG.test(input)) {
    throw new SaasctlError('INVALID_SLUG', `${quoteInput(input)} is not a slug.`, {
      hint: 'Use 3 to 40 characters: a-z, 0-9 and single dashes, starting with a letter, as in "acme-2".'
    })
  }
  if (RESERVED.has(input)) {
    throw new SaasctlError('INVALID_SLUG', `"${input}" is a reserved word and cannot be a slug.`, {
      hint: 'Choose another name, for example the customer’s own.'
    })
  }
  return input as Slug
}

const SHOWN = 60

/** Shows foreign input in a message: on one line, at most 60 characters, what cannot be seen escaped. */
export function quoteInput(input: unknown): string {
  let shown = ''
  let short = ''
  for (const character of textOf(input)) {
    shown += /[\p{C}\p{Zl}\p{Zp}"\\]/u.test(character) ? escaped(character) : character
    if (shown.length > SHOWN) return `"${short}..."`
    if (shown.length <= SHOWN - 3) short = shown
  }
  return `"${shown}"`
}

function textOf(input: unknown): string {
  if (typeof input === 'string') return input
  try {
    return JSON.stringify(input) ?? String(input)
  } catch {
    return typeof input
  }
}

/** As JSON does it, and for what JSON leaves alone: marks that turn the line around, or that nobody has given a meaning. */
function escaped(character: string): string {
  const json = JSON.stringify(character).slice(1, -1)
  if (json !== character) return json
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
  }).join('')
}

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/

/** Parses the name of a server, template, plan or label key. */
export function parseName(input: string, what: string): string {
  if (input.length > 63 || !NAME.test(input)) {
    throw new SaasctlError(
      'INVALID_INPUT',
      `${quoteInput(input)} cannot be the name of ${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what}.`,
      {
        hint: 'Use a-z, 0-9 and single dashes, starting with a letter, at most 63 characters.'
      }
    )
  }
  return input
}

/** Labels whose keys are names, the values whatever they are. */
export function parseLabels<Labels extends Record<string, unknown>>(labels: Labels): Labels {
  for (const key of Object.keys(labels)) parseName(key, 'label')
  return labels
}

/** Before a domain, where the DNS record is that proves it. */
export const challengePrefix = '_saasctl-challenge.'

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
/** Two labels or more, the last one no number: to every resolver that is an address. 253 is what a name in the DNS may have. */
const HOSTNAME = new RegExp(`^(?=.{4,${253 - challengePrefix.length}}$)(?:${label}\\.)+(?=[a-z])${label}$`)

/** A customer's own domain in the form in which a browser sends it: lower case, other letters as `xn--`. No address, no port. */
export function parseHostname(input: string): string {
  const hostname = /[\s:/@%?#\\]/.test(input) ? '' : domainToASCII(input).replace(/\.$/, '')
  if (HOSTNAME.test(hostname)) return hostname
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(input)} is not a domain.`, {
    hint: 'Write the name alone, as in "billing.acme.example".'
  })
}

let lastMs = 0
let sequence = 0

/** UUIDv7 (RFC 9562 §5.7): time-ordered, also within one millisecond of one process. */
export function uuidv7(now = Date.now()): string {
  const bytes = randomBytes(16)
  if (now > lastMs) {
    lastMs = now
    sequence = bytes.readUInt16BE(6) & 0x3ff
  } else {
    sequence += 1
    if (sequence > 0xfff) {
      lastMs += 1
      sequence = 0
    }
  }
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes.writeUInt16BE(0x7000 | sequence, 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isUuid(input: string): boolean {
  return UUID.test(input)
}

const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * The name of a database on its server, from its id: `t` and 26 characters of Crockford base32.
 * With a three-letter suffix for a login it is 30 long, within MySQL's 32.
 */
export function databaseName(databaseId: string): ServerObjectName {
  let value = BigInt(`0x${databaseId.replaceAll('-', '')}`)
  let text = ''
  for (let index = 0; index < 26; index += 1) {
    text = BASE32.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return `t${text}` as ServerObjectName
}

/** The id behind a name that `databaseName` made, or undefined for any other name. */
export function databaseIdOf(name: string): string | undefined {
  if (!/^t[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(name)) return undefined
  let value = 0n
  for (const character of name.slice(1)) value = (value << 5n) | BigInt(BASE32.indexOf(character))
  const hex = value.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
