import type { Command } from 'commander'
import { withExamples } from '../help.js'
import { type Desk, withDesk } from '../session.js'

export function init(noun: Command): void {
  withExamples(noun, ['init', 'init --template shop'])
    .option('--template <name>', 'the name of the first template')
    .action(withDesk(start))
}

/** Always the folder it is called in: a project above it is somebody else's. */
async function start({ print, progress }: Desk, { template }: { template?: string }): Promise<void> {
  const { initProject } = await import('../../src/init/init.js')
  const { written, kept, next } = await initProject(process.cwd(), { template })
  print.list(
    [...written.map(file => ({ file, state: 'written' })), ...kept.map(file => ({ file, state: 'kept' }))],
    ['file', 'state']
  )
  for (const command of next) progress.next(command)
}
