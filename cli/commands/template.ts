import type { Command } from 'commander'
import type { BuildWish } from '../../src/templates/build-template.js'
import { printSteps } from '../dry-run.js'
import { count } from '../flags.js'
import { verb } from '../help.js'
import { type Session, withSaasctl } from '../session.js'

interface BuildOptions extends Partial<BuildWish> {
  dryRun?: true
}

export function template(noun: Command): void {
  verb(noun, 'list', 'List the templates: version, where it is built, whether files changed', ['template list'])
    .alias('ls')
    .action(withSaasctl(list))
  verb(noun, 'show <name>', 'Show one template with its migrations and seeds', ['template show standard'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'build <name>', 'Make what the files say the version that new tenants start from', [
    'template build standard',
    'template build standard --warm 20  # and keep 20 databases ready on each server',
    'template build standard --server eu-1 --again'
  ])
    .option('--server <name>', 'on this server alone; by default on every one that it fits')
    .option('--warm <n>', 'how many databases to keep ready on each server from now on', count)
    .option('--plan <name>', 'the plan whose limits the warm ones get')
    .option('--again', 'also where its present version is built')
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(build))
  verb(noun, 'drop <name>', 'Drop its sealed and warm databases; its tenants stay', [
    'template drop standard --server eu-1  # before "server remove"'
  ])
    .option('--server <name>', 'on this server alone; by default on every one')
    .action(withSaasctl(drop))
}

async function drop(session: Session, options: { server?: string }, name: string): Promise<void> {
  const { saasctl, print, progress } = session
  const { dropTemplate } = await import('../../src/templates/drop-template.js')
  const dropped = await dropTemplate(saasctl, name, options, session.wait())
  progress.clear()
  print.one({ template: name, dropped })
}

async function list({ saasctl, print, progress }: Session): Promise<void> {
  const { listTemplates } = await import('../../src/templates/list.js')
  const templates = await listTemplates(saasctl)
  print.list(templates, ['name', 'version', 'changed', 'engines', 'defaultPlan', 'servers', 'description'])
  const changed = templates.find(line => line.changed)
  if (changed) progress.next(`Its files changed: saasctl template build ${changed.name}`)
}

async function show({ saasctl, print }: Session, _options: object, name: string): Promise<void> {
  const { showTemplate } = await import('../../src/templates/list.js')
  const details = await showTemplate(saasctl, name)
  const { built, ...shown } = details
  print.one(details, shown)
  if (!print.forPrograms) print.list(built, ['server', 'version', 'database', 'migration', 'warm', 'bytes', 'builtAt'])
}

async function build(session: Session, options: BuildOptions, name: string): Promise<void> {
  const { saasctl, print, progress } = session
  if (options.dryRun) {
    const { showTemplate } = await import('../../src/templates/list.js')
    return printSteps(session, 'template.build', (await showTemplate(saasctl, name)).name)
  }
  const { buildTemplate } = await import('../../src/templates/build-template.js')
  const { server, again = false, warm, plan } = options
  const lines = await buildTemplate(saasctl, name, { server, again, warm, plan }, session.wait())
  progress.clear()
  print.list(lines, ['server', 'version', 'built', 'warmed', 'refreshed'])
}
