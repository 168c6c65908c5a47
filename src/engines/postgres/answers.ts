import type { ErrorCode } from '../../errors.js'

/** What an answer means to us. */
export interface Meaning {
  code: ErrorCode
  retryable: boolean
  why: string
}

export const row = (code: ErrorCode, retryable: boolean, why: string): Meaning => ({ code, retryable, why })
const lost = (why: string) => row('SERVER_UNREACHABLE', true, why)
const busy = (why: string) => row('SERVER_BUSY', true, why)
const denied = (why: string) => row('SERVER_DENIED', false, why)

/** The one table of what PostgreSQL, the network and the driver can answer: our code, whether to try again, and why. */
export const answers: Readonly<Record<string, Meaning>> = {
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
  '53100': row('SERVER_FULL', false, 'the disk is full; no few seconds help, and what was begun takes up room'),
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
export const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/timeout expired|connection timeout|read timeout/i, 'ETIMEDOUT'],
  [/connection terminated|connection error and is not queryable|client was closed/i, 'ECONNRESET'],
  [/does not support SSL|establishing an SSL/i, 'NO_TLS'],
  [/tuple concurrently (updated|deleted)/, '40001'],
  [/is not currently accepting connections|permission denied for database/, '28000']
]
