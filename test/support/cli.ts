import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { packageFolder } from '../../src/config.js'
import { scratch } from './servers.js'

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  /** Written to standard input, which is at its end afterwards. */
  stdin?: string
  env?: Record<string, string>
  cwd?: string
}

export interface Started {
  child: ChildProcess
  pid: number
  ended: Promise<Ran>
  /** Resolves when the process has been stopped by a failpoint. */
  stopped(): Promise<void>
  /** Resolves once stderr has said it. */
  says(what: RegExp): Promise<void>
}

/** The real command line, in a folder of its own that is also its HOME. */
export interface Cli {
  folder: string
  run(args: string[], options?: RunOptions): Promise<Ran>
  start(args: string[], options?: RunOptions): Started
  /** On a terminal, 100 columns wide; each answer is typed when its question has been asked. stdout and stderr are one. */
  onTerminal(args: string[], answers?: Array<[question: RegExp, typed: string]>, options?: RunOptions): Promise<Ran>
  /** Runs it and reads its stdout as JSON; throws when the exit code is another than 0. */
  json<T = Record<string, unknown>>(args: string[], options?: RunOptions): Promise<T>
}

export const main = join(packageFolder, 'dist', 'cli', 'main.js')

/** tap’s own loader costs each process more than the program itself; only coverage needs it. */
const bare = process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '0' ? ['-u', 'NODE_OPTIONS'] : []

/** Whether there is a `script` to make a terminal with, and one that passes exit codes on. */
export const haveTerminal = spawnSync('script', ['-qfec', 'exit 7', '/dev/null']).status === 7

export async function cli(t: Pick<Test, 'teardown'>, env: Record<string, string> = {}): Promise<Cli> {
  const folder = await mkdtemp(join(scratch, 'saasctl-cli.'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const base = { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'UTC', ...env }
  const launch = (program: string, args: string[], { env: more = {}, cwd = folder }: RunOptions) =>
    spawn(program, args, { cwd, env: { ...base, ...more }, stdio: 'pipe' })

  const start = (args: string[], options: RunOptions = {}): Started => {
    const child = launch('/usr/bin/env', [...bare, process.execPath, main, ...args], options)
    const heard = listen(child)
    child.stdin.end(options.stdin ?? '')
    return {
      child,
      pid: child.pid ?? 0,
      ended: heard.ended,
      stopped: () => until(() => stateOf(child.pid ?? 0) === 'T'),
      says: what => until(() => what.test(heard.ran.stderr))
    }
  }
  const run = (args: string[], options?: RunOptions) => start(args, options).ended
  return {
    folder,
    start,
    run,
    onTerminal: async (args, answers = [], options = {}) => {
      const line = `stty cols 100; exec ${['/usr/bin/env', ...bare, process.execPath, main, ...args].map(quoted).join(' ')}`
      const child = launch('script', ['-qfec', line, '/dev/null'], {
        ...options,
        env: { SHELL: '/bin/sh', ...options.env }
      })
      const { ran, ended } = listen(child)
      let from = 0
      for (const [question, typed] of answers) {
        await Promise.race([until(() => question.test(ran.stdout.slice(from))), ended])
        from = ran.stdout.length
        child.stdin.write(typed)
      }
      return ended
    },
    json: async <T>(args: string[], options?: RunOptions) => {
      const { code, stdout, stderr } = await run([...args, '-o', 'json'], options)
      if (code !== 0) throw new Error(`saasctl ${args.join(' ')} ended with ${code}: ${stderr}`)
      return JSON.parse(stdout) as T
    }
  }
}

function listen(child: ReturnType<typeof spawn>): { ran: Ran; ended: Promise<Ran> } {
  const ran: Ran = { code: null, stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', chunk => (ran.stdout += chunk))
  child.stderr?.setEncoding('utf8').on('data', chunk => (ran.stderr += chunk))
  // A process that ends without reading closes the pipe; its exit code is the news.
  child.stdin?.on('error', () => {})
  const ended = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ ...ran, code }))
  })
  return { ran, ended }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10)
}

/** `T` is stopped. Asked of the kernel, or of `ps` where there is no /proc. */
function stateOf(pid: number): string {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? ''
  } catch {
    return spawnSync('ps', ['-o', 'state=', '-p', String(pid)])
      .stdout.toString()
      .trim()
      .slice(0, 1)
  }
}

function quoted(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`
}
