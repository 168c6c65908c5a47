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
export async function runProgram(command: Command): Promise<void> {
  await run(command, 'ignore')
}

/** The same, and gives what it printed. */
export function outputOf(command: Command): Promise<string> {
  return run(command, 'pipe')
}

function run({ program = process.execPath, args, cwd, env }: Command, stdout: 'ignore' | 'pipe'): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...shell, ...env }, stdio: ['ignore', stdout, 'pipe'] })
    let [output, complaint] = ['', '']
    child.stdout?.on('data', chunk => (output += chunk))
    child.stderr?.on('data', chunk => (complaint += chunk))
    child.on('error', reject)
    child.on('close', code =>
      code === 0
        ? resolve(output)
        : reject(new Error(`${args.join(' ')} ended with ${code}: ${complaint.slice(-2000)}`))
    )
  })
}
