import type { Command } from 'commander'

/** Adds a verb with its examples; each example is a command line without the program's name, and says what it does after `#`. */
export function verb(noun: Command, usage: string, about: string, examples: string[]): Command {
  return withExamples(noun.command(usage).description(about), examples)
}

export function withExamples(command: Command, examples: string[]): Command {
  const lines = examples.map(example => {
    const [line = '', meaning] = example.split(/ {2,}# /)
    return `  $ saasctl ${meaning === undefined ? line : `${line.padEnd(52)}  ${meaning}`}`
  })
  const title = examples.length === 1 ? 'Example:' : 'Examples:'
  return command.addHelpText(
    'after',
    `\n${title}\n${lines.join('\n')}\n\nFlags for every command, such as -o json and --timeout: saasctl --help`
  )
}
