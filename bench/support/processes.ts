import { spawn } from 'node:child_process'

export interface Command {
  /** This Node by default. */
  program?: string
  args: string[]
  cwd: string
  /** Beside what the shell has that runs the benchmark. */
  env?: Record<string, string>
}

/** Without settings of ours. */
const shell = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SAASCTL_')))

/** Runs a program to its end, as a shell would, and throws away what it prints. Fails with its complaints. */
export function runProgram({ program = process.execPath, args, cwd, env }: Command): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...shell, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', chunk => (complaint += chunk))
    child.on('error', reject)
    child.on('close', code =>
      code === 0 ? resolve() : reject(new Error(`${args.join(' ')} ended with ${code}: ${complaint.slice(-2000)}`))
    )
  })
}
