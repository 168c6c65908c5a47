import { type ErrorCode, SaasctlError } from '../errors.js'

const unreachable = 'Check that it runs and that SAASCTL_CATALOG_URL names the right host and port.'

/** What a driver error of the catalog means to us. The catalog is PostgreSQL by definition. */
const table: Record<string, { code: ErrorCode; message: string; hint: string; retryable?: boolean }> = {
  ECONNREFUSED: {
    code: 'CATALOG_UNREACHABLE',
    message: 'Nothing answers at the catalog’s address.',
    hint: unreachable,
    retryable: true
  },
  ECONNRESET: {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog cut the connection.',
    hint: unreachable,
    retryable: true
  },
  ENOENT: {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog’s socket is not there.',
    hint: unreachable,
    retryable: true
  },
  ENOTFOUND: { code: 'CATALOG_UNREACHABLE', message: 'The catalog’s host name is not known.', hint: unreachable },
  EAI_AGAIN: {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog’s host name could not be looked up.',
    hint: unreachable,
    retryable: true
  },
  ETIMEDOUT: {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog did not answer in time.',
    hint: unreachable,
    retryable: true
  },
  '57P01': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog ended the session.',
    hint: 'Try again.',
    retryable: true
  },
  '57P02': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog crashed and is restarting.',
    hint: 'Try again.',
    retryable: true
  },
  '57P03': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog is starting up.',
    hint: 'Try again in a moment.',
    retryable: true
  },
  '53300': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog has no connection free.',
    hint: 'Try again, or raise max_connections.',
    retryable: true
  },
  '40001': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog could not serialize the change.',
    hint: 'Try again.',
    retryable: true
  },
  '40P01': {
    code: 'CATALOG_UNREACHABLE',
    message: 'Two changes of the catalog waited for each other.',
    hint: 'Try again.',
    retryable: true
  },
  '53100': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog’s disk is full.',
    hint: 'Free space on the catalog’s server; nothing was changed.',
    retryable: true
  },
  '3D000': {
    code: 'CATALOG_UNREACHABLE',
    message: 'The catalog’s database does not exist.',
    hint: 'Create it, or correct SAASCTL_CATALOG_URL.'
  },
  '28P01': {
    code: 'CATALOG_DENIED',
    message: 'The catalog refused the password.',
    hint: 'Check SAASCTL_CATALOG_URL and SAASCTL_CATALOG_PASSWORD.'
  },
  '28000': {
    code: 'CATALOG_DENIED',
    message: 'The catalog refused the login.',
    hint: 'Check the login in SAASCTL_CATALOG_URL and the server’s pg_hba.conf.'
  },
  '42501': {
    code: 'CATALOG_DENIED',
    message: 'The catalog login lacks a right.',
    hint: 'Use a login made by "saasctl catalog credentials create control".'
  },
  '42P01': {
    code: 'CATALOG_UNMIGRATED',
    message: 'The catalog has no schema yet.',
    hint: 'Run "saasctl catalog migrate".'
  },
  '3F000': {
    code: 'CATALOG_UNMIGRATED',
    message: 'The catalog has no schema yet.',
    hint: 'Run "saasctl catalog migrate".'
  }
}

/** Driver errors become ours. A unique violation keeps the constraint's name in `data`, for the use-case that expects it. */
export function catalogError(error: unknown): SaasctlError {
  if (error instanceof SaasctlError) return error
  const { code, constraint, message } = error as { code?: string; constraint?: string; message?: string }
  const known = code === undefined ? undefined : table[code]
  if (known) {
    return new SaasctlError(known.code, known.message, {
      hint: known.hint,
      retryable: known.retryable ?? false,
      cause: error
    })
  }
  if (
    /timeout|terminated|closed|not queryable/i.test(message ?? '') &&
    (code === undefined || !/^[0-9A-Z]{5}$/.test(code))
  ) {
    return new SaasctlError('CATALOG_UNREACHABLE', 'The catalog did not answer.', {
      hint: unreachable,
      retryable: true,
      cause: error
    })
  }
  return new SaasctlError('FAILED', `The catalog answered: ${message ?? 'an error without a message'}`, {
    cause: error,
    data: { ...(code !== undefined && { sqlstate: code }), ...(constraint !== undefined && { constraint }) }
  })
}

/** Whether the catalog refused a row because of this unique constraint or index. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof SaasctlError && error.data?.['constraint'] === constraint
}
