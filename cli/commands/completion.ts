import { Argument, type Command } from 'commander'
import { type Shell, scripts, shells } from '../completion.js'
import { withExamples } from '../help.js'
import { loadNoun } from '../program.js'
import { type Desk, withDesk } from '../session.js'

export function completion(noun: Command): void {
  withExamples(noun, [
    'completion bash > ~/.local/share/bash-completion/completions/saasctl',
    'completion zsh > ~/.zfunc/_saasctl',
    'completion fish > ~/.config/fish/completions/saasctl.fish'
  ])
    .addArgument(new Argument('<shell>', 'which shell').choices([...shells]))
    .action(withDesk((desk, _options: object, shell: Shell) => print(desk, noun.parent as Command, shell)))
}

async function print({ print }: Desk, program: Command, shell: Shell): Promise<void> {
  for (const noun of program.commands) if (noun.name() !== 'completion') await loadNoun(noun)
  const script = scripts[shell](program)
  print.text(script, { shell, script })
}
