import { type ErrorCode, SaasctlError } from '../../errors.js'
import { answers, type Meaning, row, words } from './answers.js'

/** Where a statement ran, for messages. */
export interface Place {
  host: string
  port: number
  database: string
  login: string
}

/** How a check of ours in a DO block tells its refusal apart from every other error: an SQLSTATE that PostgreSQL does not use. */
export const guardStates = { foreign: 'SCT05' } as const

/** SQLSTATE of a lock that was not free in time. */
export const LOCK_NOT_FREE = '55P03'

/** What the server said, for the decisions inside this folder: SQLSTATE or errno, its words, where in the text sent. */
export interface Answer {
  state: string | undefined
  said: string
  /** 1-based, in characters of the whole message. */
  position: number | undefined
  /** How many statements of the message were done before. */
  completed: number
}

const answered = new WeakMap<SaasctlError, Answer>()

export function answerOf(error: unknown): Answer | undefined {
  return error instanceof SaasctlError ? answered.get(error) : undefined
}

/** Turns anything that the driver throws into one of our errors. Nothing else leaves this folder. */
export function translate(thrown: unknown, place: Place, completed = 0): SaasctlError {
  if (thrown instanceof SaasctlError) return thrown
  const { message, code, position } = parts(thrown)
  const state = words.find(([pattern]) => pattern.test(message))?.[1] ?? code
  const answer = (state && answers[state]) || row('SERVER_FAILED', false, '')
  const error = new SaasctlError(answer.code, sentence(answer, place, message, state), {
    ...advice(answer.code, message),
    retryable: answer.retryable
  })
  answered.set(error, { state, said: scrub(message), position, completed })
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
