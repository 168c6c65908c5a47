import { type ErrorCode, SaasctlError } from '../../errors.js'

/** Where a statement ran, for messages. */
export interface Place {
  host: string
  port: number
  database: string
  login: string
}

/** How a migration's guard tells its refusals apart from every other error: SQLSTATEs that PostgreSQL does not use. */
export const guardStates = { locked: 'SCT01', moved: 'SCT02', done: 'SCT03', ended: 'SCT04', foreign: 'SCT05' } as const

interface Row {
  code: ErrorCode
  retryable: boolean
  why: string
}

const row = (code: ErrorCode, retryable: boolean, why: string): Row => ({ code, retryable, why })
const lost = (why: string) => row('SERVER_UNREACHABLE', true, why)
const busy = (why: string) => row('SERVER_BUSY', true, why)
const denied = (why: string) => row('SERVER_DENIED', false, why)

/** The one table of what PostgreSQL, the network and the driver can answer: our code, whether to try again, and why. */
export const answers: Readonly<Record<string, Row>> = {
  ECONNREFUSED: lost('nothing listens there; a restart takes a second'),
  ECONNRESET: lost('the connection broke'),
  EPIPE: lost('the connection broke'),
  ETIMEDOUT: lost('no answer in time'),
  EHOSTUNREACH: lost('no way to the host just now'),
  ENETUNREACH: lost('no way to the network just now'),
  EHOSTDOWN: lost('the host is down'),
  ENOTFOUND: lost('the name did not resolve; a resolver may be restarting'),
  EAI_AGAIN: lost('the resolver did not answer'),
  ENOENT: lost('the socket is not there; the server is not running'),
  EACCES: denied('the socket may not be opened by this user'),
  NO_TLS: denied('the server does not speak TLS and plaintext is refused'),
  ERR_TLS_CERT_ALTNAME_INVALID: denied('the certificate is for another host'),
  CERT_HAS_EXPIRED: denied('the certificate has expired'),
  DEPTH_ZERO_SELF_SIGNED_CERT: denied('the certificate is signed by nobody that is trusted'),
  SELF_SIGNED_CERT_IN_CHAIN: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_GET_ISSUER_CERT: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: denied('the certificate is signed by nobody that is trusted'),
  '08000': lost('connection exception'),
  '08001': lost('the connection could not be made'),
  '08003': lost('the connection does not exist'),
  '08004': lost('the connection was rejected'),
  '08006': lost('the connection broke'),
  '08P01': lost('what came back is not the protocol'),
  '0A000': row('SERVER_FAILED', false, 'the server cannot do that'),
  '25006': busy('the server is read-only: a standby, or a failover under way'),
  '28000': denied('no such login, not allowed to log in, or refused by pg_hba.conf'),
  '28P01': denied('wrong password'),
  '3D000': row('SERVER_FAILED', false, 'the database does not exist'),
  '40001': busy('a serialization conflict passes'),
  '40P01': busy('a deadlock is broken by whoever tries again'),
  '42501': row('SERVER_RIGHTS', false, 'permission denied'),
  '42710': busy('the object was made a moment ago by another session: look again'),
  '42P04': busy('the database was made a moment ago by another session: look again'),
  '53000': busy('out of some resource'),
  '53100': row('SERVER_FULL', true, 'the disk is full; somebody may make room'),
  '53200': busy('out of memory'),
  '53300': busy('no connection free, on the server, in the database or for the login'),
  '53400': busy('a configured limit was reached'),
  '55006': busy('somebody is connected to, or copying, the database'),
  '55P03': busy('a lock was not free in time'),
  '57014': busy('the statement ran into its timeout or was cancelled'),
  '57P01': lost('an administrator ended the session'),
  '57P02': lost('the server crashed and restarts; one event for all'),
  '57P03': lost('the server is starting or stopping'),
  '57P05': lost('the session was idle for too long'),
  '58030': row('SERVER_FULL', true, 'the disk failed to read or write'),
  XX001: row('SERVER_FAILED', false, 'data on the disk is damaged')
}

/** Errors that come without a code, found by their words. */
const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/timeout expired|connection timeout|read timeout/i, 'ETIMEDOUT'],
  [/connection terminated|connection error and is not queryable|client was closed/i, 'ECONNRESET'],
  [/does not support SSL|establishing an SSL/i, 'NO_TLS'],
  [/tuple concurrently (updated|deleted)/, '40001'],
  [/is not currently accepting connections|permission denied for database/, '28000']
]

/** What the server said, for the decisions inside this folder: SQLSTATE or errno, its words, where in the text sent. */
export interface Answer {
  state: string | undefined
  said: string
  /** 1-based, in characters of the whole message. */
  position: number | undefined
}

const answered = new WeakMap<SaasctlError, Answer>()

export function answerOf(error: unknown): Answer | undefined {
  return error instanceof SaasctlError ? answered.get(error) : undefined
}

/** Turns anything that the driver throws into one of our errors. Nothing else leaves this folder. */
export function translate(thrown: unknown, place: Place): SaasctlError {
  if (thrown instanceof SaasctlError) return thrown
  const { message, code, position } = parts(thrown)
  const state = words.find(([pattern]) => pattern.test(message))?.[1] ?? code
  const answer = (state && answers[state]) || row('SERVER_FAILED', false, '')
  const error = new SaasctlError(answer.code, sentence(answer, place, message, state), {
    ...advice(answer.code, message),
    retryable: answer.retryable
  })
  answered.set(error, { state, said: scrub(message), position })
  return error
}

/** The server's own words, without any password, verifier or line break, at most 400 characters. */
export function scrub(message: string): string {
  return message
    .replace(/SCRAM-SHA-256\$[^\s'"]+/g, '[secret]')
    .replace(/(password\s+)E?'(?:[^']|'')*'/gi, "$1'[secret]'")
    .replace(/\s+/g, ' ')
    .slice(0, 400)
}

function parts(thrown: unknown): { message: string; code: string | undefined; position: number | undefined } {
  // Node tries every address of a name and reports them together; the first is the news.
  const error: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  if (!(error instanceof Error)) return { message: String(error), code: undefined, position: undefined }
  return {
    message: error.message,
    code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
    position: 'position' in error && typeof error.position === 'string' ? Number(error.position) : undefined
  }
}

function sentence(answer: Row, { host, port, database, login }: Place, message: string, state?: string): string {
  const at = `${host}:${port}`
  const said = scrub(message)
  switch (answer.code) {
    case 'SERVER_UNREACHABLE':
      return `The server ${at} did not answer: ${said}.`
    case 'SERVER_DENIED':
      return `The server ${at} refused "${login}" at database "${database}": ${said}.`
    case 'SERVER_RIGHTS':
      return `The login "${login}" lacks a right on ${at}, database "${database}": ${said}.`
    case 'SERVER_BUSY':
      return `The server ${at} is busy: ${said}.`
    case 'SERVER_FULL':
      return `The server ${at} has no room: ${said}.`
    default:
      return `The server ${at}, database "${database}", answered with an error: ${said}${state ? ` (${state})` : ''}.`
  }
}

function advice(code: ErrorCode, message: string): { hint?: string; data?: Record<string, unknown> } {
  switch (code) {
    case 'SERVER_UNREACHABLE':
      return { hint: 'Look whether the server runs and whether host and port are right; it is tried again.' }
    case 'SERVER_DENIED':
      return { hint: 'Look at the login, its password, the TLS settings and pg_hba.conf of the server.' }
    case 'SERVER_RIGHTS': {
      const missing = /create database/.test(message) ? 'CREATEDB' : /role/.test(message) ? 'CREATEROLE' : undefined
      const what = missing ? `It needs ${missing}. ` : ''
      return {
        hint: `${what}\`saasctl server check\` prints the statement that grants what is missing.`,
        ...(missing && { data: { missing } })
      }
    }
    case 'SERVER_FULL':
      return { hint: 'Make room on the server, then try again.' }
    default:
      return {}
  }
}
