import { SaasctlError } from '../src/errors.js'

const credentials = /[a-z][a-z0-9+.-]*:\/\/[^/?#\s@]*:[^/?#\s@]+@/i
const keyword = /(^|[\s?&;])(pg)?pass(word|wd)?=./i

/**
 * Refuses a password anywhere in the arguments (PASSWORD_IN_ARGV), before anything could repeat it in a message: they are
 * in the process list and in the shell's history.
 */
export function checkArguments(argv: string[]): void {
  const position = argv.findIndex(holdsPassword)
  if (position < 0) return
  throw new SaasctlError(
    'PASSWORD_IN_ARGV',
    `Argument ${position + 1} holds a password; every user of this machine can read it there.`,
    {
      hint: 'Change that password, and give the new one by the prompt, --password-stdin, --password-file or SAASCTL_PASSWORD; the catalog’s in SAASCTL_CATALOG_URL.'
    }
  )
}

function holdsPassword(argument: string): boolean {
  if (/^--password(=|$)/.test(argument) || credentials.test(argument) || keyword.test(argument)) return true
  // A password with a slash or a question mark in it makes an address that no parser reads.
  const address = /[a-z][a-z0-9+.-]*:\/\/.*/i.exec(argument)?.[0]
  return address !== undefined && !URL.canParse(address) && /:\/\/[^:]*:[^@]*@/.test(address)
}

/** `saasctl` alone asks for help, `help noun verb` is `noun verb --help`, and `--version` is the command. */
export function normalArguments(argv: string[]): string[] {
  const [first, ...rest] = argv
  if (first === undefined) return ['--help']
  if (first === 'help') return [...rest, '--help']
  return first === '--version' || first === '-V' ? ['version', ...rest] : argv
}

/** Whether errors are to be objects, also when the arguments could not be read. */
export function asksForJson(argv: string[]): boolean {
  return /(^| )(-o|--output)[ =]?(nd)?json( |$)/.test(argv.join(' '))
}
