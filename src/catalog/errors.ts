import { type ErrorCode, SaasctlError } from '../errors.js'

interface Row {
  code: ErrorCode
  message: string
  hint: string
  retryable: boolean
}

const look = 'Check that it runs and that SAASCTL_CATALOG_URL names the right host and port.'
const row =
  (code: ErrorCode, retryable: boolean) =>
  (message: string, hint = look): Row => ({ code, message, hint, retryable })
/** Gone or busy just now: trying again may help. */
const away = row('CATALOG_UNREACHABLE', true)
const absent = row('CATALOG_UNREACHABLE', false)
const denied = row('CATALOG_DENIED', false)
const unmigrated = row('CATALOG_UNMIGRATED', false)('The catalog has no schema yet.', 'Run "saasctl catalog migrate".')
const untrusted = denied(
  'The catalog’s TLS certificate is not trusted.',
  'Name its authority with sslrootcert in SAASCTL_CATALOG_URL, and the host as the certificate does.'
)

const unstorable = row('INVALID_INPUT', false)(
  'A text holds a character that cannot be stored.',
  'Leave out the NUL character.'
)

/** What an error code of the network or of the catalog means to us. The catalog is PostgreSQL by definition. */
const table: Record<string, Row> = {
  ECONNREFUSED: away('Nothing answers at the catalog’s address.'),
  ECONNRESET: away('The catalog cut the connection.'),
  EPIPE: away('The catalog cut the connection.'),
  ENOENT: away('The catalog’s socket is not there.'),
  ENOTFOUND: absent('The catalog’s host name is not known.'),
  EAI_AGAIN: away('The catalog’s host name could not be looked up.'),
  ETIMEDOUT: away('The catalog did not answer in time.'),
  EHOSTUNREACH: away('There is no way to the catalog’s host.'),
  ENETUNREACH: away('There is no way to the catalog’s network.'),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_HAS_EXPIRED: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: untrusted,
  '22021': unstorable,
  '22P05': unstorable,
  // What a connection has planned does not fit any more; another plans anew.
  '0A000': away('The catalog’s schema was changed under a connection.', 'Try again.'),
  '25006': away(
    'The catalog can only be read: it is a standby, or a failover is under way.',
    'Name the primary in SAASCTL_CATALOG_URL.'
  ),
  '40001': away('The catalog could not serialize the change.', 'Try again.'),
  '40P01': away('Two changes of the catalog waited for each other.', 'Try again.'),
  '53100': away('The catalog’s disk is full.', 'Free space on the catalog’s server; nothing was changed.'),
  '53300': away('The catalog has no connection free.', 'Try again, or raise max_connections.'),
  '57P01': away('The catalog ended the session.', 'Try again.'),
  '57P02': away('The catalog crashed and is restarting.', 'Try again.'),
  '57P03': away('The catalog is starting up.', 'Try again in a moment.'),
  '3D000': absent(
    'The catalog’s database does not exist.',
    'Create it, or correct SAASCTL_CATALOG_URL. One that was lost comes back with "saasctl catalog restore".'
  ),
  '28P01': denied('The catalog refused the password.', 'Check SAASCTL_CATALOG_URL and SAASCTL_CATALOG_PASSWORD.'),
  '28000': denied(
    'The catalog refused the login.',
    'Check the login in SAASCTL_CATALOG_URL and the server’s pg_hba.conf.'
  ),
  '42501': denied(
    'The catalog login lacks a right.',
    'Use a login made by "saasctl catalog credentials create control".'
  ),
  // Raised by a trigger of ours.
  SHELD: row('TENANT_HELD', false)(
    'A legal hold is on the tenant.',
    'Nothing of it is destroyed until two operators have released it: saasctl tenant release'
  ),
  '42P01': unmigrated,
  '3F000': unmigrated
}

/** What comes without a code, found by its words. */
const words: ReadonlyArray<readonly [RegExp, Row]> = [
  [
    /client password must be/,
    denied(
      'The catalog asks for a password, and none is set.',
      'Set SAASCTL_CATALOG_PASSWORD or SAASCTL_CATALOG_PASSWORD_FILE.'
    )
  ],
  [
    /does not support SSL|establishing an SSL/,
    denied('The catalog does not speak TLS, which SAASCTL_CATALOG_URL asks for.', 'Turn TLS on at the catalog.')
  ],
  [/timeout|terminated|closed|not queryable/i, away('The catalog did not answer.')]
]

/** Driver errors become ours. A unique violation keeps the constraint's name in `data`, for the use-case that expects it. */
export function catalogError(error: unknown): SaasctlError {
  if (error instanceof SaasctlError) return error
  const { code, constraint, message = '' } = error as { code?: string; constraint?: string; message?: string }
  const sqlstate = /^[0-9A-Z]{5}$/.test(code ?? '')
  const known = table[code ?? ''] ?? (sqlstate ? undefined : words.find(([pattern]) => pattern.test(message))?.[1])
  if (known) {
    return new SaasctlError(known.code, known.message, { hint: known.hint, retryable: known.retryable, cause: error })
  }
  return new SaasctlError('FAILED', `The catalog answered: ${message || code || 'an error without a message'}.`, {
    cause: error,
    data: { ...(code !== undefined && { sqlstate: code }), ...(constraint !== undefined && { constraint }) }
  })
}

/** Whether the catalog refused a row because of this unique constraint or index. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof SaasctlError && error.data?.['constraint'] === constraint
}
