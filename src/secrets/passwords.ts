import { randomBytes } from 'node:crypto'
import { Secret } from '../secret.js'
import type { DataKey } from './data-keys.js'
import { open, type Place, seal } from './envelope.js'

/** Which data key seals a login's password. A router has the routing key alone: app logins and nothing more. */
export const purposeOfLogin = { owner: 'control', app_a: 'routing', app_b: 'routing', readonly: 'control' } as const

/** Whose password it is: the login's name, and a version that grows with every new password. */
export interface PasswordOf {
  login: string
  version: number
}

/** 256 random bits as 43 characters that need no quoting anywhere. */
export function randomPassword(): Secret {
  return new Secret(randomBytes(32).toString('base64url'))
}

export function sealPassword(dataKey: DataKey, whose: PasswordOf, password: Secret): Buffer {
  return seal(dataKey.key, placeOf(dataKey, whose), password.reveal())
}

/** Throws KEY_WRONG for a ciphertext of another login, version or database, and for one that was changed. */
export function openPassword(dataKey: DataKey, whose: PasswordOf, sealed: Buffer): Secret {
  return new Secret(open(dataKey.key, placeOf(dataKey, whose), sealed).toString('utf8'))
}

function placeOf({ databaseId, purpose }: DataKey, { login, version }: PasswordOf): Place {
  return { owner: databaseId, purpose: `${purpose} password`, version, item: login }
}
