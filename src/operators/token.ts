import { createHash, randomBytes } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { Secret } from '../secret.js'

/** Begins every token, so that a scanner of repositories and logs finds a leaked one. */
const PREFIX = 'saasctl_op_'
const TOKEN = /^saasctl_op_[A-Za-z0-9_-]{43}$/

/**
 * A new token. Opaque rather than a JWT: every use looks it up in the catalog, which is there anyway, so that a revoked one
 * ends at once and no signing key has to be shared with whoever checks it.
 */
export function newToken(): { token: Secret; hash: Buffer } {
  const token = new Secret(`${PREFIX}${randomBytes(32).toString('base64url')}`)
  return { token, hash: tokenHash(token) }
}

/** NOT_ALLOWED for what cannot be a token. */
export function tokenHash(token: Secret): Buffer {
  const text = token.reveal().trim()
  if (TOKEN.test(text)) return createHash('sha256').update(text).digest()
  throw new SaasctlError('NOT_ALLOWED', 'What was given as the operator’s token is none.', {
    hint: 'Give what "saasctl operator token NAME" printed, in SAASCTL_TOKEN or with --token-file.'
  })
}
