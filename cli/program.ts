import { type Command, type CommanderError, Option } from 'commander'
import { printDuration } from '../src/duration.js'
import { SaasctlError } from '../src/errors.js'
import { SaasctlCommand } from './command.js'
import { addGlobalFlags } from './flags.js'
import { nouns } from './nouns.js'

const examples = `
Examples:
  $ saasctl tenant create acme --plan pro       a new tenant with a database of its own
  $ saasctl tenant list -l tier=gold -o json    for scripts: data on stdout, all else on stderr
  $ saasctl tenant shell acme                   look inside, read-only
  $ saasctl doctor                              is everything as it should be?

"saasctl help NOUN VERB" explains one command, with examples. Every flag but --yes, --confirm, --now, --reveal and
--all can come from the environment: --output is SAASCTL_OUTPUT. Exit codes: 0 ok, 1 failed, 2 usage, 3 some tenants
failed, 4 not allowed, 5 not found, 6 conflict or held, 7 still running, 8 a check found something, 130 cancelled.
With -o json an error is one object on stderr: code, message, hint, operationId.`

/** The program with all of its nouns; the verbs of a noun are loaded when the command line names it. */
export function makeProgram(): Command {
  const program = new SaasctlCommand('saasctl')
    .description('One database for every tenant: create, migrate, look after and delete them, one or all.')
    .usage('<noun> <verb> [slug] [flags]')
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .configureHelp({
      commandUsage: command => `${pathOf(command)} ${command.usage()}`,
      subcommandTerm: command => [command.name(), argumentsOf(command)].filter(Boolean).join(' '),
      optionDescription: describe
    })
    .helpCommand(false)
    .helpOption('-h, --help', 'explain the command')
    .addHelpText('after', examples)
  // Typed with a value it is refused with PASSWORD_IN_ARGV; it exists for its variable.
  program.addOption(new Option('--password <text>').hideHelp())
  addGlobalFlags(program)
  for (const { name, alias, about, group } of nouns) {
    const noun = program.command(name).description(about).helpGroup(group)
    if (alias) noun.alias(alias)
  }
  program.hook('preSubcommand', (_program, noun) => loadNoun(noun))
  return program
}

/** Adds the noun's verbs. */
export async function loadNoun(noun: Command): Promise<void> {
  const found = nouns.find(({ name }) => name === noun.name())
  if (!found) return
  const addVerbs = await found.load()
  addVerbs(noun)
  for (const command of [noun, ...noun.commands])
    command.helpCommand(false).helpOption('-h, --help', 'explain the command')
}

function argumentsOf(command: Command): string {
  return command.registeredArguments
    .map(argument => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`
      return argument.required ? `<${name}>` : `[${name}]`
    })
    .join(' ')
}

function describe({ description, argChoices, defaultValue, negate, mandatory, flags }: Option): string {
  const choices = argChoices ? ` (${argChoices.join(', ')})` : ''
  const shown = defaultValue !== undefined && typeof defaultValue !== 'boolean' && !negate
  const usual = flags.includes('<duration>') ? printDuration(defaultValue) : defaultValue
  return `${description}${choices}${mandatory ? ' [required]' : ''}${shown ? ` [${usual}]` : ''}`
}

/** What commander says, as one of our errors: the sentence, and a near name or where to read on as the hint. */
export function usageError(program: Command, thrown: CommanderError, argv: string[]): SaasctlError {
  const command = isOfAll(program, thrown) ? program : commandOf(program, argv)
  const path = pathOf(command)
  if (thrown.code === 'commander.help') {
    const verbs = command.commands.map(verb => verb.name()).join(', ')
    return new SaasctlError('USAGE', `"${path}" needs a verb: ${verbs}.`, { hint: `See "${path} --help".` })
  }
  const [said = '', nearby] = thrown.message.split(/\n\((?=Did you mean)/)
  const sentence = said.replace(/^error: /, '').trim()
  const names = nearby?.replace(/^Did you mean (one of )?|\?\)$/g, '').split(', ')
  const hint = names ? `Did you mean ${names.map(name => `"${name}"`).join(' or ')}?` : `See "${path} --help".`
  return new SaasctlError(
    'USAGE',
    `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}${/[.?!]$/.test(sentence) ? '' : '.'}`,
    { hint }
  )
}

/** Whether it is about a flag that every command takes, which the help of none explains. */
function isOfAll(program: Command, { message }: CommanderError): boolean {
  const [, flags] = /^error: option '([^']*)'/.exec(message) ?? []
  return program.options.some(option => option.flags === flags)
}

/** The command that the arguments name, as far as they can be followed. */
function commandOf(program: Command, argv: string[]): Command {
  let command = program
  for (const word of argv) {
    const next = command.commands.find(candidate => candidate.name() === word || candidate.aliases().includes(word))
    if (next) command = next
  }
  return command
}

export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}
