import { relative } from 'node:path'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../src/config.js'
import type { Saasctl } from '../src/saasctl.js'
import type { Wait } from '../src/tenants/work.js'
import type { Flags } from './flags.js'
import { Interrupt } from './interrupt.js'
import { Print } from './print.js'
import { Progress } from './progress.js'
import { plural } from './text.js'

/** What a command has without a catalog. */
export interface Desk {
  /** The noun and the verb, as the table of permissions has them. */
  command: string
  flags: Flags
  print: Print
  progress: Progress
  /** The configuration with the flags on top; CONFIG_INVALID names every problem. */
  config(more?: { concurrency?: string }): Config
}

/** What a command has with one. */
export interface Session extends Desk {
  saasctl: Saasctl
  interrupt: Interrupt
  /** For an operation that may be somebody else's: Ctrl-C leaves it alone unless it came to be worked here. */
  watch(): Wait
  /** How a use-case is to be followed. `label` names the tenant in front of each step, when there are several. */
  wait(label?: string): Wait
}

type Action = (...args: unknown[]) => Promise<void>

/** An action that needs no catalog. Gets the flags of the command, then its arguments. */
export function withDesk<Options, Args extends unknown[]>(
  work: (desk: Desk, options: Options, ...args: Args) => Promise<void>
): Action {
  return async (...args) => {
    const command = args.pop() as Command
    args.pop()
    const flags = command.optsWithGlobals<Flags>()
    const progress = new Progress(flags)
    const desk: Desk = {
      command: wordsOf(command),
      flags,
      progress,
      print: new Print(flags.output),
      config: (more = {}) => configOf(flags, more)
    }
    try {
      await work(desk, flags as Options, ...(args as Args))
    } finally {
      progress.clear()
    }
  }
}

/** An action on the catalog: opened before, closed after, whatever happens. */
export function withSaasctl<Options, Args extends unknown[]>(
  work: (session: Session, options: Options, ...args: Args) => Promise<void>
): Action {
  return withDesk<Options, Args>(async (desk, options, ...args) => {
    await inSession(desk, desk.config(), session => work(session, options, ...args))
  })
}

/** Opens the catalog for `work`, and says what a person should know about it: where it is, and what was left unfinished. */
export async function inSession(desk: Desk, config: Config, work: (session: Session) => Promise<void>): Promise<void> {
  const { open } = await import('../src/saasctl.js')
  const { flags, progress } = desk
  const saasctl = await open(config, { report: sentence => progress.notice(sentence) })
  await allow(desk, saasctl)
  const interrupt = new Interrupt(saasctl, progress)
  if (saasctl.embedded) progress.notice(`Using the embedded catalog in ${relative(process.cwd(), config.home) || '.'}.`)
  // What is unfinished in a catalog that was restored is over, or goes on elsewhere.
  const unfinished = saasctl.rewound ? Promise.resolve([]) : unfinishedOperations(saasctl)
  try {
    await work({
      ...desk,
      saasctl,
      interrupt,
      wait: label => waitOf(flags, progress, interrupt, label),
      watch: () => watchOf(flags, progress, interrupt, undefined)
    })
  } finally {
    await mention(unfinished, interrupt, progress)
    interrupt.end()
    await saasctl.close()
  }
}

function configOf({ catalog, home, tokenFile, embedded }: Flags, { concurrency }: { concurrency?: string }): Config {
  return loadConfig({ flags: { catalog, home, tokenFile, embedded: embedded && 'yes', concurrency } })
}

/** What the caller's role may not do is refused before anything of the command runs. */
async function allow({ command, flags }: Desk, saasctl: Saasctl): Promise<void> {
  try {
    const { demand, refuseBeforeAdoption } = await import('../src/operators/permissions.js')
    const given = Object.entries(flags).flatMap(([name, value]) => (value === undefined || value === false ? [] : name))
    demand(saasctl.caller, command, given)
    if (saasctl.rewound) refuseBeforeAdoption(command, given)
  } catch (error) {
    await saasctl.close()
    throw error
  }
}

function wordsOf(command: Command): string {
  const noun = command.parent?.parent ? `${wordsOf(command.parent)} ` : ''
  return `${noun}${command.name()}`
}

function waitOf(flags: Flags, progress: Progress, interrupt: Interrupt, label: string | undefined): Wait {
  if (flags.wait) interrupt.follow()
  return { ...watchOf(flags, progress, interrupt, label), wait: flags.wait, signal: interrupt.signal }
}

function watchOf(flags: Flags, progress: Progress, interrupt: Interrupt, label: string | undefined): Wait {
  return {
    wait: true,
    timeoutMs: flags.timeout,
    onProgress: line => {
      interrupt.saw(line.operation)
      progress.step(label, line)
    }
  }
}

/** Asked for while the command works, and before it starts anything of its own. */
async function unfinishedOperations({ catalog }: Saasctl): Promise<string[]> {
  const { orphanedOperations } = await import('../src/catalog/operations.js')
  return orphanedOperations(catalog).then(
    rows => rows.map(row => row.id),
    () => []
  )
}

/** Not of what this command has gone on with itself. */
async function mention(unfinished: Promise<string[]>, interrupt: Interrupt, progress: Progress): Promise<void> {
  const [first, ...others] = (await unfinished).filter(id => !interrupt.hasSeen(id))
  if (first === undefined) return
  const what = others.length === 0 ? `Operation ${first} was` : `${plural(others.length + 1, 'operation')} were`
  progress.notice(`${what} left unfinished; go on with "saasctl operation resume ${first}", or start "saasctl worker".`)
}
