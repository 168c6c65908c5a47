import { type ErrorCode, SaasctlError } from '../../errors.js'
import { answers, type Meaning, row, words } from './answers.js'

/** Where a statement ran, for messages. */
export interface Place {
  host: string
  port: number
  database: string
  login: string
}

/** What the server said, for the decisions inside this folder: its number or the system's code, and its words. */
export interface Answer {
  state: string | undefined
  said: string
}

const answered = new WeakMap<SaasctlError, Answer>()

export function answerOf(error: unknown): Answer | undefined {
  return error instanceof SaasctlError ? answered.get(error) : undefined
}

/** Turns anything that the driver throws into one of our errors. Nothing else leaves this folder. */
export function translate(thrown: unknown, place: Place): SaasctlError {
  if (thrown instanceof SaasctlError) return thrown
  const { message, code } = parts(thrown)
  const known = code !== undefined && Object.hasOwn(answers, code) && !['1030', '1290'].includes(code)
  const state = known ? code : (words.find(([pattern]) => pattern.test(message))?.[1] ?? code)
  const answer = (state && answers[state]) || row('SERVER_FAILED', false, '')
  const error = new SaasctlError(answer.code, sentence(answer, place, message, state), {
    ...advice(answer.code),
    retryable: answer.retryable
  })
  answered.set(error, { state, said: scrub(message) })
  return error
}

/** The server's own words, without any password, hash or line break, at most 400 characters. */
export function scrub(message: string): string {
  return message
    .replace(/\*[0-9A-F]{40}\b/g, '[secret]')
    .replace(/\b0x24412430[0-9A-F]+/gi, '[secret]')
    .replace(/\$A\$[0-9A-F]{3}\$[^'"]*/gi, '[secret]')
    .replace(/((?:identified\s+by|password\s*[=(]?)\s*)'(?:[^'\\]|''|\\.)*'/gi, "$1'[secret]'")
    .replace(/\s+/g, ' ')
    .slice(0, 400)
}

function parts(thrown: unknown): { message: string; code: string | undefined } {
  // Node tries every address of a name and reports them together; the first is the news.
  const error: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  if (!(error instanceof Error)) return { message: String(error), code: undefined }
  // The driver gives errors of the network a negative number of the system's beside their code.
  const number =
    'errno' in error && typeof error.errno === 'number' && error.errno > 0 ? String(error.errno) : undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return { message: error.message, code: number ?? code }
}

function sentence(answer: Meaning, { host, port, database, login }: Place, message: string, state?: string): string {
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

function advice(code: ErrorCode): { hint?: string } {
  switch (code) {
    case 'SERVER_UNREACHABLE':
      return { hint: 'Look whether the server runs and whether host and port are right; it is tried again.' }
    case 'SERVER_DENIED':
      return { hint: 'Look at the login, its password, whether it is locked, and the TLS settings.' }
    case 'SERVER_RIGHTS':
      return { hint: '`saasctl server check` prints the statement that grants what is missing.' }
    case 'SERVER_FULL':
      return { hint: 'Make room on the server, then try again.' }
    default:
      return {}
  }
}
