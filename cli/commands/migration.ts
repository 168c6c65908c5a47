import { relative } from 'node:path'
import type { Command } from 'commander'
import { printFindings } from '../findings.js'
import { verb } from '../help.js'
import { type Desk, type Session, withDesk, withSaasctl } from '../session.js'

export function migration(noun: Command): void {
  verb(noun, 'new <name>', 'Write an empty migration with the next number, for every engine of the template', [
    'migration new add-orders',
    'migration new "add phone to customers" --template demo'
  ])
    .option('--template <name>', 'the template whose folders it goes to')
    .action(withDesk(make))
  verb(noun, 'check [template]', 'Lint the migrations, and run them up, down and up on a scratch database', [
    'migration check  # for CI: exit 8 when something is wrong',
    'migration check demo --server eu-1'
  ])
    .option('--server <name>', 'where the scratch database is made')
    .action(withSaasctl(check))
}

async function make({ config, print, progress }: Desk, options: { template?: string }, name: string): Promise<void> {
  const { newTemplateMigration } = await import('../../src/migrations/new.js')
  const { templates, template } = config()
  const made = await newTemplateMigration(templates, options.template ?? template, name)
  const files = made.files.map(file => relative(process.cwd(), file))
  print.text(files.join('\n'), { ...made, files })
  progress.next('Write its two parts, then: saasctl migration check')
}

async function check(session: Session, { server }: { server?: string }, name?: string): Promise<void> {
  const { checkMigrations } = await import('../../src/migrations/check.js')
  const { saasctl } = session
  const template = name ?? saasctl.config.template
  const { findings } = await checkMigrations(saasctl, template, { ...session.wait(), server })
  printFindings(session, findings, `the migrations of template ${template}`)
}
