import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Json } from '../../src/canonical.js'
import type { ErrorRecord } from '../../src/errors.js'
import type { ProgressLine } from '../../src/operations/run.js'
import type { Notice, RouterOptions } from '../../src/router.js'
import type { WorkerLine } from '../../src/worker.js'
import type { VerbName } from './verbs.js'

export interface Said {
  opened?: true
  succeeded?: true
  error?: ErrorRecord
  progress?: ProgressLine
  log?: WorkerLine
  port?: number
  notice?: Notice
  closed?: true
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A process of ours that has the control plane open, to be stopped or killed. */
export interface Child {
  pid: number
  /** What it has said so far. */
  said: Said[]
  stderr(): string
  /** Resolves once it has said something like it; rejects when it ends before. */
  says(like: (line: Said) => boolean): Promise<Said>
  ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
}

/** Starts a verb in a process of its own; `failpoint` is where it is killed, stopped or made to fail. */
export function startVerb(
  env: Record<string, string>,
  verb: VerbName,
  argument: Record<string, Json>,
  failpoint = ''
): Child {
  return start('run-verb.js', [verb, JSON.stringify(argument)], { ...env, SAASCTL_FAILPOINT: failpoint })
}

export function startWorkerProcess(env: Record<string, string>, failpoint = ''): Child {
  return start('run-worker.js', [], { ...env, SAASCTL_FAILPOINT: failpoint })
}

/** A router in a process of its own; it says its port once it listens. */
export function startRouterProcess(env: Record<string, string>, options: Partial<RouterOptions> = {}): Child {
  return start('run-router.js', [JSON.stringify(options)], env)
}

function start(script: string, args: string[], env: Record<string, string>): Child {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], {
    env,
    cwd: env['SAASCTL_HOME'],
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const said: Said[] = []
  const listeners = new Set<() => void>()
  let [rest, stderr] = ['', '']
  let over: Ended | undefined
  const tell = () => {
    for (const listener of [...listeners]) listener()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    said.push(...lines.map(line => JSON.parse(line) as Said))
    tell()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      over = { code, signal }
      tell()
      resolve(over)
    })
  })
  return {
    pid: child.pid ?? 0,
    said,
    stderr: () => stderr,
    says: like =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = said.find(like)
          if (!line && !over) return
          listeners.delete(look)
          if (line) resolve(line)
          else reject(new Error(`It ended without saying so: ${JSON.stringify({ over, said, stderr })}`))
        }
        listeners.add(look)
        look()
      }),
    ended,
    kill: signal => {
      if (!over) process.kill(child.pid ?? 0, signal)
    }
  }
}
