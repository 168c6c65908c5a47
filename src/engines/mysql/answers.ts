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
const rights = (why: string) => row('SERVER_RIGHTS', false, why)
const full = (why: string) => row('SERVER_FULL', false, why)

/**
 * The one table of what MySQL, MariaDB, the network and the driver can answer: our code, whether to try again, and why.
 * Servers are known by their number, for the driver has no names for MariaDB's own (1900 and up).
 */
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
  PROTOCOL_CONNECTION_LOST: lost('the connection broke'),
  PROTOCOL_SEQUENCE_TIMEOUT: lost('no answer in time'),
  ER_HANDSHAKE_ERROR: lost('what came back is not the protocol'),
  EACCES: denied('the socket may not be opened by this user'),
  HANDSHAKE_NO_SSL_SUPPORT: denied('the server does not speak TLS and plaintext is refused'),
  AUTH_SWITCH_PLUGIN_ERROR: denied('the server asks for a way to log in that is not safe or not known'),
  HANDSHAKE_SSL_ERROR: denied('the certificate is not trusted, or for another host'),
  ERR_TLS_CERT_ALTNAME_INVALID: denied('the certificate is for another host'),
  CERT_HAS_EXPIRED: denied('the certificate has expired'),
  DEPTH_ZERO_SELF_SIGNED_CERT: denied('the certificate is signed by nobody that is trusted'),
  SELF_SIGNED_CERT_IN_CHAIN: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_GET_ISSUER_CERT: denied('the certificate is signed by nobody that is trusted'),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: denied('the certificate is signed by nobody that is trusted'),
  // 1021 and 1030 carry the system's own number: on a full disk MariaDB says "got error 28".
  1021: full('the disk is full'),
  1037: busy('out of memory'),
  1040: busy('no connection free on the server'),
  1041: busy('out of memory'),
  1044: denied('the login may not enter the database'),
  1045: denied('no such login, or a wrong password'),
  1049: row('SERVER_FAILED', false, 'the database does not exist'),
  1053: lost('the server is stopping'),
  1077: lost('the server is stopping'),
  1078: lost('the server is stopping'),
  1079: lost('the server is stopping'),
  1094: busy('the session ended by itself a moment ago: look again'),
  1114: full('a table or the file system is full'),
  1129: denied('the host was blocked after too many broken connects'),
  1130: denied('the host is not allowed to connect'),
  1142: rights('the login lacks a right on a table'),
  1143: rights('the login lacks a right on a column'),
  1156: lost('what came back is not the protocol'),
  1158: lost('the connection broke'),
  1159: lost('no answer in time'),
  1160: lost('the connection broke'),
  1161: lost('no answer in time'),
  1184: lost('the connection was broken off'),
  1203: busy('the login has as many connections as it may'),
  1205: busy('a lock was not free in time'),
  1206: busy('no room for more locks'),
  1213: busy('a deadlock is broken by whoever tries again'),
  1226: busy('the login has as many connections as its plan allows'),
  1227: rights('a right on the whole server is missing'),
  1251: denied('the account wants a proof of the password that is not given'),
  1290: busy('the server is read-only: a replica, or a failover under way'),
  1317: busy('the statement was cancelled'),
  1370: rights('the login lacks a right on a routine'),
  1396: busy('the login was made or dropped a moment ago by another session: look again'),
  1410: rights('control may not make logins'),
  1613: busy('the transaction was rolled back to break a deadlock'),
  1614: busy('a deadlock is broken by whoever tries again'),
  1698: denied('the login may not use this way in'),
  1792: busy('the server is read-only: a replica, or a failover under way'),
  1820: denied('the password has expired'),
  1836: busy('the server is read-only'),
  1862: denied('the password has expired'),
  1927: lost('an administrator ended the session'),
  1969: busy('the statement ran into its timeout'),
  1970: busy('the statement ran into its timeout'),
  3024: busy('the statement ran into its timeout'),
  3058: busy('two sessions wait for each other’s locks'),
  3118: denied('the login is locked'),
  3159: denied('the server wants TLS'),
  3169: lost('an administrator ended the session'),
  3572: busy('a lock was not free at once'),
  3879: rights('a right on the whole server is missing'),
  4025: row('SERVER_FAILED', false, 'a constraint of the table says no'),
  4031: lost('the session was idle for too long'),
  4151: denied('the login is locked')
}

/** What comes without a number, or says more than its number: found by the words. */
export const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/connect ETIMEDOUT|timeout/i, 'ETIMEDOUT'],
  [/errno: 28\b|error 28\b|no space left/i, '1021'],
  [/closed state|connection lost|server closed the connection|premature|read ECONNRESET/i, 'ECONNRESET'],
  [/does not support secure connection/i, 'HANDSHAKE_NO_SSL_SUPPORT'],
  [/--read-only|super-read-only/i, '1290']
]
