import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { SaasctlError } from '../errors.js'
import type { RunAs } from './user.js'

/**
 * All that a program of PostgreSQL gets to see of our environment: no key or password of ours, no PGPORT or PGDATA that
 * would lead it elsewhere, English messages (we read some), and no search for the machine's time zone.
 */
export const environment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

export interface Run {
  user: RunAs | undefined
  /** Given on standard input, where no process list shows it. */
  input?: string
}

/** Runs a program to its end and gives its standard output. Fails with EMBEDDED_FAILED and the last lines it wrote. */
export function run(program: string, args: string[], { user, input }: Run): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...user, cwd: '/', env: environment })
    let output = ''
    let complaint = ''
    child.stdout.on('data', chunk => (output += chunk))
    child.stderr.on('data', chunk => (complaint += chunk))
    // A program that ends before it has read everything closes the pipe; its exit code is the news.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    child.on('error', cause => reject(failed(program, cause.message, cause)))
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(failed(program, lastLines(complaint) || `It ended with ${signal ?? `code ${code}`}.`))
    })
  })
}

function failed(program: string, said: string, cause?: unknown): SaasctlError {
  const full = said.includes('No space left on device')
  return new SaasctlError(
    'EMBEDDED_FAILED',
    `${basename(program)} of the embedded server failed: ${full ? 'the disk is full.' : said}`,
    full ? { hint: 'Make room, some 100 MB, or name another folder with --home or SAASCTL_HOME.', cause } : { cause }
  )
}

/** The end of a log that is worth showing: at most five lines. */
export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join('\n')
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Whether the process is the server on this data folder. Not so when it ended and is kept as a zombie by an init that
 * collects nobody, as in many containers.
 */
export async function isOurs(pid: number, dataDir: string): Promise<boolean> {
  const command =
    process.platform === 'linux'
      ? readFile(`/proc/${pid}/cmdline`, 'utf8')
      : run('/bin/ps', ['-o', 'command=', '-p', String(pid)], { user: undefined })
  return (await command.catch(() => '')).includes(dataDir)
}
