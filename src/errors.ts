/** What each failure means to a machine: HTTP status, exit code of the CLI, and what the code stands for. */
interface Meaning {
  readonly status: number
  readonly exit: number
  readonly about: string
}

const meaning = (status: number, exit: number, about: string): Meaning => ({ status, exit, about })

/**
 * The one table of errors. Exit codes are DESIGN §13: 1 failed, 2 usage, 3 some tenants failed, 4 not allowed,
 * 5 not found, 6 conflict or held, 7 still running at timeout, 8 a check found something, 130 cancelled.
 */
export const errorTable = {
  USAGE: meaning(400, 2, 'The command or request was not understood.'),
  CONFIG_INVALID: meaning(500, 2, 'The configuration has one or more bad values.'),
  INVALID_SLUG: meaning(400, 2, 'A slug is 3 to 40 characters: a-z, 0-9 and single dashes, starting with a letter.'),
  INVALID_INPUT: meaning(400, 2, 'A value does not have the form that was asked for.'),
  CONFIRMATION_NEEDED: meaning(400, 2, 'The command replaces or removes data and was not confirmed.'),
  PASSWORD_IN_ARGV: meaning(400, 2, 'A password stood in an argument, where every user of the machine can read it.'),
  SOME_FAILED: meaning(500, 3, 'Some of the tenants failed; the others are done.'),
  NOT_ALLOWED: meaning(403, 4, 'The operator may not do this.'),
  TENANT_NOT_FOUND: meaning(404, 5, 'No tenant has this slug or id.'),
  SERVER_NOT_FOUND: meaning(404, 5, 'No server has this name.'),
  TEMPLATE_NOT_FOUND: meaning(404, 5, 'No template has this name.'),
  PLAN_NOT_FOUND: meaning(404, 5, 'No plan has this name.'),
  OPERATION_NOT_FOUND: meaning(404, 5, 'No operation has this id.'),
  MIGRATION_NOT_FOUND: meaning(404, 5, 'No migration has this name.'),
  DOMAIN_NOT_FOUND: meaning(404, 5, 'The tenant has no such domain.'),
  DOMAIN_TAKEN: meaning(409, 6, 'Another tenant has proven that the domain is its own.'),
  DOMAIN_UNPROVEN: meaning(409, 6, 'Nothing in the DNS proves that the domain is the tenant’s.'),
  BACKUP_NOT_FOUND: meaning(404, 5, 'No backup has this id, or the tenant has none.'),
  EXPORT_NOT_FOUND: meaning(404, 5, 'No export has this id, or its file has expired.'),
  ROLLOUT_NOT_FOUND: meaning(404, 5, 'No rollout has this id.'),
  OPERATOR_NOT_FOUND: meaning(404, 5, 'No operator has this name.'),
  OPERATOR_EXISTS: meaning(409, 6, 'An operator has or had this name.'),
  OPERATOR_STATE: meaning(409, 6, 'The operator is not in a state that allows this.'),
  APPROVAL_NOT_FOUND: meaning(404, 5, 'No request for an approval has this id.'),
  APPROVAL_STATE: meaning(409, 6, 'The request is decided or over its time.'),
  EVENT_NOT_FOUND: meaning(404, 5, 'The audit trail has no such event.'),
  TENANT_EXISTS: meaning(409, 6, 'The slug is taken.'),
  SLUG_QUARANTINED: meaning(409, 6, 'The slug was freed a short while ago and is still kept back.'),
  SERVER_EXISTS: meaning(409, 6, 'The server name is taken.'),
  SERVER_IN_USE: meaning(409, 6, 'The server still holds databases.'),
  TENANT_BUSY: meaning(409, 6, 'Another operation holds the tenant.'),
  TENANT_STATE: meaning(409, 6, 'The tenant is not in a state that allows this.'),
  OPERATION_STATE: meaning(409, 6, 'The operation is not in a state that allows this.'),
  BACKUP_STATE: meaning(409, 6, 'The backup is not in a state that allows this.'),
  ROLLOUT_STATE: meaning(409, 6, 'The rollout is not in a state that allows this.'),
  ROLLOUT_CHANGED: meaning(409, 6, 'The fleet or the files are no longer what the rollout was planned for.'),
  ROLLOUT_BUSY: meaning(409, 6, 'Another rollout that is under way has some of the tenants.'),
  ROLLOUT_REFUSED: meaning(409, 6, 'A migration may not be rolled out yet: a check stands against it.'),
  ROLLOUT_STOPPED: meaning(500, 3, 'A brake, a gate or an operator stopped the rollout.'),
  IDEMPOTENCY_MISMATCH: meaning(409, 6, 'The idempotency key was used for a different request.'),
  TENANT_HELD: meaning(423, 6, 'A legal hold is on the tenant.'),
  NO_SERVER: meaning(503, 6, 'No server can take another database.'),
  TENANT_RATE: meaning(429, 1, 'The tenant sends more requests a second than its plan allows.'),
  TENANT_CROWDED: meaning(503, 1, 'The tenant has more requests under way than its plan allows.'),
  TENANT_REFUSED: meaning(404, 5, 'The request names no tenant that it may reach; outside, all reasons look the same.'),
  TENANT_SCHEMA: meaning(503, 1, 'The tenant’s schema is not one that the application works with.'),
  TENANT_DOWN: meaning(503, 1, 'The tenant’s database does not answer; it is tried again in a moment.'),
  ROUTER_CONFIG: meaning(500, 2, 'The router’s configuration is not usable.'),
  STILL_RUNNING: meaning(202, 7, 'The operation goes on; the caller stopped waiting.'),
  CHECK_FOUND: meaning(500, 8, 'A check found something.'),
  CANCELLED: meaning(499, 130, 'The operation was cancelled.'),
  CATALOG_UNREACHABLE: meaning(503, 1, 'The catalog did not answer.'),
  CATALOG_UNMIGRATED: meaning(503, 1, 'The catalog has no schema yet.'),
  CATALOG_STATE: meaning(409, 6, 'The catalog is not in a state that allows this.'),
  CATALOG_BEHIND: meaning(503, 1, 'The catalog lacks migrations this program needs.'),
  CATALOG_AHEAD: meaning(503, 1, 'The catalog was migrated by a newer program.'),
  CATALOG_DENIED: meaning(503, 4, 'The catalog refused the login or lacks a grant.'),
  SERVER_UNREACHABLE: meaning(503, 1, 'The server did not answer.'),
  SERVER_DENIED: meaning(502, 1, 'The server refused the login.'),
  SERVER_RIGHTS: meaning(502, 1, 'The control login lacks a right on the server.'),
  SERVER_BUSY: meaning(503, 1, 'The server has no connection or lock free just now.'),
  SERVER_FULL: meaning(507, 1, 'The server has no disk space left.'),
  SERVER_FAILED: meaning(502, 1, 'The server answered with an error.'),
  ROUTER_BUDGET: meaning(503, 1, 'No database connection became free in time.'),
  ROUTER_ENTITIES: meaning(500, 1, 'An entity set cannot be shared between tenants.'),
  LEASE_ENDED: meaning(500, 1, 'A tenant’s database was used after the request or callback had ended.'),
  SERVER_UNSUPPORTED: meaning(400, 1, 'The server is of a version or kind that is not supported.'),
  MIGRATION_FAILED: meaning(500, 1, 'A migration failed; the message says what is left of it.'),
  MIGRATION_CHANGED: meaning(409, 6, 'An applied migration was edited, removed or overtaken.'),
  IDENTITY_WRONG: meaning(500, 1, 'The database is not the one that the catalog says it is.'),
  ISOLATION_BROKEN: meaning(500, 1, 'A database is open to a login that must not enter it.'),
  FENCED: meaning(409, 6, 'Another process took the operation over.'),
  KEY_MISSING: meaning(500, 1, 'A key is not in the key store.'),
  KEY_REFUSED: meaning(500, 1, 'The key store will not give or take a key: exposed, damaged, read-only or differing.'),
  KEY_WRONG: meaning(500, 1, 'A ciphertext does not open with the key and place it is said to belong to.'),
  BACKUP_DAMAGED: meaning(500, 8, 'A backup is not what was written, or does not restore to what was dumped.'),
  STORE_UNREACHABLE: meaning(503, 1, 'The store of backups and exports did not answer.'),
  STORE_REFUSED: meaning(502, 1, 'The store of backups and exports refused an object.'),
  STORE_FULL: meaning(507, 1, 'The store of backups and exports has no room left.'),
  STORE_MISSING: meaning(404, 5, 'An object is not in the store that it should be in.'),
  EMBEDDED_FAILED: meaning(500, 1, 'The embedded server could not be found or started.'),
  EMBEDDED_REFUSED: meaning(500, 2, 'The embedded server is refused under NODE_ENV=production.'),
  TOOL_MISSING: meaning(500, 1, 'A program of the database is not on this machine.'),
  FAILED: meaning(500, 1, 'Something failed that has no code of its own.')
} as const satisfies Record<string, Meaning>

export type ErrorCode = keyof typeof errorTable

export interface ErrorDetails {
  /** What to do next, as one sentence. */
  hint?: string
  /** The operation that failed, for `operation show`. */
  operationId?: string
  /** A failed clean-up stands beside the first error, never in its place. */
  also?: ErrorRecord[]
  cause?: unknown
  /** Facts for machines, for example the names of the failed tenants. */
  data?: Record<string, unknown>
  /** Trying again later may help. Engines decide it, from one table of codes each. */
  retryable?: boolean
}

/** An error as it is stored in the ledger and printed with `-o json`. */
export interface ErrorRecord {
  code: ErrorCode
  message: string
  hint?: string
  operationId?: string
  also?: ErrorRecord[]
  data?: Record<string, unknown>
}

/** The one error type. The message is a sentence: what happened, to which thing; the hint says what to do next. */
export class SaasctlError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly also: ErrorRecord[]
  readonly data: Record<string, unknown> | undefined
  readonly retryable: boolean
  operationId: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'SaasctlError'
    this.code = code
    this.hint = details.hint
    this.also = details.also ?? []
    this.data = details.data
    this.retryable = details.retryable ?? false
    this.operationId = details.operationId
  }

  get exit(): number {
    return errorTable[this.code].exit
  }

  get status(): number {
    return errorTable[this.code].status
  }

  toJSON(): ErrorRecord {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint !== undefined && { hint: this.hint }),
      ...(this.operationId !== undefined && { operationId: this.operationId }),
      ...(this.also.length > 0 && { also: this.also }),
      ...(this.data !== undefined && { data: this.data })
    }
  }
}

/** Turns anything thrown into the one error type; what was already one passes through unchanged. */
export function asSaasctlError(thrown: unknown): SaasctlError {
  if (thrown instanceof SaasctlError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new SaasctlError('FAILED', message, { cause: thrown })
}

/** Brings an error back from the ledger. */
export function fromRecord(record: ErrorRecord): SaasctlError {
  return new SaasctlError(Object.hasOwn(errorTable, record.code) ? record.code : 'FAILED', record.message, record)
}
