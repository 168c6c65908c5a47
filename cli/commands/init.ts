import { type Command, Option } from 'commander'
import type { InitOptions } from '../../src/init/init.js'
import { engineNames } from '../../src/templates/template.js'
import { withExamples } from '../help.js'
import { type Desk, withDesk } from '../session.js'

export function init(noun: Command): void {
  withExamples(noun, ['init', 'init --template shop  # what is there already is kept'])
    .option('--template <name>', 'the name of the first template')
    .addOption(new Option('--engine <engine>', 'what its tenants live on').choices([...engineNames]))
    .action(withDesk(start))
}

async function start({ print, progress }: Desk, { template, engine }: InitOptions): Promise<void> {
  const { initProject } = await import('../../src/init/init.js')
  const outcome = await initProject(process.cwd(), { template, engine })
  const files = [
    ...outcome.written.map(file => ({ file, state: 'written' })),
    ...outcome.kept.map(file => ({ file, state: 'kept' }))
  ]
  if (print.forPrograms) print.one(outcome)
  else print.list(files, ['file', 'state'])
  for (const command of outcome.next) progress.next(command)
}
