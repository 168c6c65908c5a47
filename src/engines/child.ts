import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { toolEnvironment } from './tools.js'

/** How a program ended: with nothing to say when all went well. */
export type Ended = { ok: true } | { ok: false; said: string }

export interface Child {
  input: Writable
  output: Readable
  /** Never fails. What a failure says is the end of what the program wrote to its standard error. */
  ended: Promise<Ended>
  kill(): void
}

const SAID_CHARACTERS = 4_000

/** Starts a program of a database. Its password is in the environment or in a file, never among the arguments. */
export function startTool(program: string, args: string[], environment: Record<string, string>): Child {
  const child = spawn(program, args, { cwd: '/', env: { ...toolEnvironment, ...environment }, stdio: 'pipe' })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARACTERS)
  })
  // A program that ends early closes its pipe; how it ended is the news.
  child.stdin.on('error', () => undefined)
  const ended = new Promise<Ended>(resolve => {
    child.on('error', error => resolve({ ok: false, said: error.message }))
    child.on('close', (code, signal) => {
      if (code === 0) return resolve({ ok: true })
      const how = signal === null ? `code ${code}` : `signal ${signal}`
      resolve({ ok: false, said: said.trim() === '' ? `it ended with ${how}` : `${said.trim()} (${how})` })
    })
  })
  return { input: child.stdin, output: child.stdout, ended, kill: () => child.kill('SIGTERM') }
}
