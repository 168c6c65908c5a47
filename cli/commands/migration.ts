import type { Command } from 'commander'
import { printFindings } from '../findings.js'
import { verb } from '../help.js'
import { type Desk, type Session, withDesk, withSaasctl } from '../session.js'

export function migration(noun: Command): void {
  verb(noun, 'new <name>', 'Make the next migration file, for every engine of the template', [
    'migration new add-orders'
  ])
    .option('--template <name>', 'whose migrations; the default template unless given')
    .action(withDesk(make))
  verb(noun, 'check [template]', 'Lint the migrations, and run them up, down and up on a scratch database', [
    'migration check  # for CI: exit 8 when something is wrong',
    'migration check standard --server eu-1 -o json'
  ])
    .option('--server <name>', 'where the scratch database is made')
    .action(withSaasctl(check))
}

async function make({ print, progress, config }: Desk, options: { template?: string }, name: string): Promise<void> {
  const { newTemplateMigration } = await import('../../src/migrations/new.js')
  const { templates, template } = config()
  const made = await newTemplateMigration(templates, options.template ?? template, name)
  print.list(
    made.files.map(file => ({ name: made.name, file })),
    ['name', 'file']
  )
  progress.next('Write its up and down parts, then: saasctl migration check')
}

async function check(session: Session, { server }: { server?: string }, template?: string): Promise<void> {
  const { checkMigrations } = await import('../../src/migrations/check.js')
  const { saasctl } = session
  const name = template ?? saasctl.config.template
  const { onProgress, timeoutMs, signal } = session.wait()
  const { findings } = await checkMigrations(saasctl, name, { server, onProgress, timeoutMs, signal })
  printFindings(session, findings, `the migrations of template ${name}`)
}
