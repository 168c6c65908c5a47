import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Closers } from '../src/closers.js'
import type { ShellCommand } from '../src/engines/engine.js'
import { SaasctlError } from '../src/errors.js'
import { inherited } from './environment.js'

/**
 * Runs the engine's shell on this terminal until it ends. Passwords are in its environment alone, files that it must read
 * in a private folder that is gone afterwards. TOOL_MISSING names what to install; a shell that failed is FAILED.
 */
export async function runShell(command: ShellCommand, path: string): Promise<void> {
  const program = await find(command, path)
  const closers = new Closers()
  // The shell deals with Ctrl-C itself: it ends a query, not us.
  const ignore = () => {}
  process.on('SIGINT', ignore)
  closers.push(() => process.off('SIGINT', ignore))
  try {
    const files = await writeFiles(command.files ?? {}, closers)
    const args = command.args.map(arg => withPaths(arg, files))
    const child = spawn(program, args, { stdio: 'inherit', env: { ...inherited(), ...command.env, ...files } })
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    if (code !== 0) throw new SaasctlError('FAILED', `${program} ended with ${signal ?? `code ${code}`}.`)
  } finally {
    await closers.close()
  }
}

async function find({ programs, install }: ShellCommand, path: string): Promise<string> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    for (const program of programs) {
      const file = join(folder, program)
      if (
        await access(file, constants.X_OK).then(
          () => true,
          () => false
        )
      )
        return file
    }
  }
  throw new SaasctlError('TOOL_MISSING', `${programs.join(' or ')} is not on this machine.`, {
    hint: `Install ${install}.`
  })
}

/** A `$NAME` stands for the path of the file of that name. */
function withPaths(text: string, paths: Record<string, string>): string {
  return text.replace(/\$([A-Z_]+)/g, (name, variable) => paths[variable] ?? name)
}

async function writeFiles(files: Record<string, string>, closers: Closers): Promise<Record<string, string>> {
  const paths: Record<string, string> = {}
  if (Object.keys(files).length === 0) return paths
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-shell.'))
  closers.push(() => rm(folder, { recursive: true, force: true }))
  for (const [variable, text] of Object.entries(files)) {
    paths[variable] = join(folder, variable)
    await writeFile(paths[variable], withPaths(text, paths), { mode: 0o600 })
  }
  return paths
}
