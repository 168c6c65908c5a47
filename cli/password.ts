import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { SaasctlError } from '../src/errors.js'
import { Secret } from '../src/secret.js'
import { systemReason } from '../src/system-reason.js'
import { ask } from './ask.js'
import { canAsk } from './can-ask.js'

export interface PasswordFlags {
  /** From SAASCTL_PASSWORD; as an argument it was refused before. */
  password?: string
  passwordStdin?: true
  passwordFile?: string
}

export function passwordFlags(command: Command, what: string): Command {
  return command
    .option('--password-stdin', `read ${what} from standard input`)
    .option('--password-file <file>', `read ${what} from the first line of a file`)
}

export function givesPassword(flags: PasswordFlags): boolean {
  return flags.passwordStdin !== undefined || flags.passwordFile !== undefined || flags.password !== undefined
}

/** From standard input, a file, SAASCTL_PASSWORD or the prompt, in this order. `twice` asks again, for one that is chosen now. */
export async function readPassword(what: string, flags: PasswordFlags, { twice = false } = {}): Promise<Secret> {
  const typed = !givesPassword(flags)
  const password = typed ? await prompt(what) : await given(flags)
  if (password === '')
    throw new SaasctlError('INVALID_INPUT', `${sentence(what)} is empty.`, {
      hint: 'Give it with --password-stdin, for example.'
    })
  if (typed && twice && (await ask(`${sentence(what)}, again: `, { hidden: true })) !== password) {
    throw new SaasctlError('INVALID_INPUT', 'The two were not the same; nothing was changed.')
  }
  return new Secret(password)
}

async function given({ passwordStdin, passwordFile, password = '' }: PasswordFlags): Promise<string> {
  if (passwordStdin) return firstLine(await readAll(process.stdin))
  return passwordFile === undefined ? password : firstLine(await readFile(passwordFile, 'utf8').catch(unreadable))
}

async function prompt(what: string): Promise<string> {
  if (canAsk()) return ask(`${sentence(what)}: `, { hidden: true })
  throw new SaasctlError('INVALID_INPUT', `${sentence(what)} was not given, and nobody is there to be asked.`, {
    hint: 'Use --password-stdin, --password-file or SAASCTL_PASSWORD.'
  })
}

function firstLine(content: string): string {
  return content.split(/\r?\n/, 1)[0] ?? ''
}

function unreadable(cause: NodeJS.ErrnoException): never {
  throw new SaasctlError('INVALID_INPUT', `The file of --password-file cannot be read: ${systemReason(cause)}.`, {
    hint: 'Name another file.',
    cause
  })
}

function sentence(what: string): string {
  return what.charAt(0).toUpperCase() + what.slice(1)
}
