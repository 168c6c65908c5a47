import { type ErrorCode, SaasctlError } from '../../errors.js'

/** Where a statement ran, for messages. */
export interface Place {
  host: string
  port: number
  database: string
  login: string
}

/** What the server said, for the decisions inside this folder: its number or the driver's code, and its words. */
export interface Answer {
  state: string | undefined
  said: string
}

interface Meaning {
  code: ErrorCode
  retryable: boolean
  why: string
}

const row = (code: ErrorCode, retryable: boolean, why: string): Meaning => ({ code, retryable, why })
const lost = (why: string) => row('SERVER_UNREACHABLE', true, why)
const busy = (why: string) => row('SERVER_BUSY', true, why)
const denied = (why: string) => row('SERVER_DENIED', false, why)

/**
 * What the server, the network and the driver can answer: our code, whether to try again, and why. By number, because the
 * driver's names are those of MySQL and from 4000 on MariaDB's numbers mean something else.
 */
const answers: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: lost('nothing listens there; a restart takes a second'),
  ECONNRESET: lost('the connection broke'),
  EPIPE: lost('the connection broke'),
  PROTOCOL_CONNECTION_LOST: lost('the connection broke'),
  ETIMEDOUT: lost('no answer in time'),
  EHOSTUNREACH: lost('no way to the host just now'),
  ENETUNREACH: lost('no way to the network just now'),
  ENOTFOUND: lost('the name did not resolve; a resolver may be restarting'),
  EAI_AGAIN: lost('the resolver did not answer'),
  ENOENT: lost('the socket is not there; the server is not running'),
  HANDSHAKE_NO_SSL_SUPPORT: denied('the server does not speak TLS and plaintext is refused'),
  HANDSHAKE_SSL_ERROR: denied('the certificate is not trusted, or for another host'),
  AUTH_SWITCH_PLUGIN_ERROR: denied('the server wants a proof of the password that is not given'),
  1040: busy('the server has no connection left'),
  1044: denied('the login may not use the database'),
  1045: denied('no such login, or a wrong password'),
  1053: lost('the server is stopping'),
  1114: row('SERVER_FULL', false, 'a table or the disk is full'),
  1021: row('SERVER_FULL', false, 'the disk is full'),
  1129: busy('the server has blocked the host after too many broken connections'),
  1130: denied('the host may not connect'),
  1142: row('SERVER_RIGHTS', false, 'permission denied'),
  1156: lost('what came back is not the protocol'),
  1158: lost('the connection broke'),
  1159: lost('the connection broke'),
  1160: lost('the connection broke'),
  1161: lost('the connection broke'),
  1203: busy('the login has no connection left'),
  1205: busy('a lock was not free in time'),
  1213: busy('a deadlock is broken by whoever tries again'),
  1226: busy('the login has reached a limit of its own'),
  1251: denied('the account wants a proof of the password that is not given'),
  1290: busy('the server is read-only: a replica, or a failover under way'),
  1317: busy('the statement was interrupted'),
  1698: denied('the account does not come in by password'),
  1836: busy('the server is read-only: a replica, or a failover under way'),
  1927: lost('an administrator ended the session'),
  1969: busy('the statement ran into its timeout'),
  3024: busy('the statement ran into its timeout'),
  3118: denied('the account is locked'),
  3159: denied('the account wants TLS'),
  4151: denied('the account is locked')
}

const answered = new WeakMap<SaasctlError, Answer>()

export function answerOf(error: unknown): Answer | undefined {
  return error instanceof SaasctlError ? answered.get(error) : undefined
}

/** Turns anything that the driver throws into one of our errors. Nothing else leaves this folder. */
export function translate(thrown: unknown, { host, port, database, login }: Place): SaasctlError {
  if (thrown instanceof SaasctlError) return thrown
  // Node tries every address of a name and reports them together; the first is the news.
  const error: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  const said = scrub(error instanceof Error ? error.message : String(error))
  const state = stateOf(error)
  const { code, retryable } = (state && answers[state]) || row('SERVER_FAILED', false, '')
  const where = `${host}:${port}`
  const sentence =
    code === 'SERVER_UNREACHABLE'
      ? `The server ${where} did not answer: ${said}.`
      : code === 'SERVER_DENIED'
        ? `The server ${where} refused "${login}" at database "${database}": ${said}.`
        : `The server ${where}, database "${database}", answered with an error: ${said}${state ? ` (${state})` : ''}.`
  const translated = new SaasctlError(code, sentence, { retryable })
  answered.set(translated, { state, said })
  return translated
}

function stateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { errno, code } = error as { errno?: unknown; code?: unknown }
  if (typeof errno === 'number' && errno > 0) return String(errno)
  if (typeof code === 'string') return code
  return /closed state|connection lost/i.test(error.message) ? 'ECONNRESET' : undefined
}

/** The server's own words, without any password, hash or line break, at most 400 characters. */
export function scrub(message: string): string {
  return message
    .replace(/((?:by|using|password)\s*\(?\s*)'(?:[^'\\]|''|\\.)*'/gi, "$1'[secret]'")
    .replace(/\*[0-9A-F]{40}/gi, '[secret]')
    .replace(/\s+/g, ' ')
    .slice(0, 400)
}
