import { type Command, Option } from 'commander'
import { parseSlug } from '../../../src/names.js'
import type { NewTenant } from '../../../src/tenants/create.js'
import { dryRun, printSteps } from '../../dry-run.js'
import { collectNewLabels } from '../../flags.js'
import { printOutcome } from '../../fleet.js'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends Omit<NewTenant, 'slug' | 'labels'> {
  from?: string
  baseline?: string
  label?: Record<string, string>
  dryRun?: true
}

export function addCreate(noun: Command): void {
  verb(noun, 'create <slug>', 'Make a tenant with a database of its own', [
    'tenant create acme',
    'tenant create acme --plan pro --label tier=gold',
    'tenant create acme --region eu --display-name "Acme GmbH"',
    'tenant create acme --from acme.sql  # a plain dump, loaded as its owner',
    'tenant create acme --dry-run  # the steps, and nothing else'
  ])
    .option('--template <name>', 'what its database starts as')
    .option('--plan <name>', 'its limits and features; by default the template’s')
    .option('--server <name>', 'on this server; by default the least loaded that fits')
    .option('--region <name>', 'on a server of this region')
    .addOption(new Option('--engine <engine>', 'on a server of this engine').choices(['postgres', 'mysql']))
    .option('--label <key=value>', 'a label; several with commas, or the flag again', collectNewLabels)
    .option('--display-name <name>', 'the customer’s own name, for people')
    .option('--idempotency-key <key>', 'the same key again finds the same tenant')
    .option('--from <file>', 'load this plain dump of pg_dump or mysqldump instead of the template')
    .option('--baseline <migration>', 'with --from: the last migration that is in it, or none')
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(create))
}

async function create(session: Session, options: Options, slug: string): Promise<void> {
  const { saasctl, flags, progress } = session
  if (options.from !== undefined) return load(session, options, slug, options.from)
  const { createTenant } = await import('../../../src/tenants/create.js')
  const { template, plan, server, region, engine, label: labels, displayName, idempotencyKey } = options
  const wish = { slug, template, plan, server, region, engine, labels, displayName, idempotencyKey }
  const defaults = { template: saasctl.config.template }
  if (options.dryRun)
    return dryRun(session, [slug], (saasctl, _slug, wait) => createTenant(saasctl, wish, defaults, wait))
  const outcome = await createTenant(saasctl, wish, defaults, session.wait())
  await printOutcome(session, outcome)
  if (flags.wait) progress.next(`Connect an application: saasctl tenant dsn ${slug} --reveal`)
}

async function load(session: Session, options: Options, slug: string, file: string): Promise<void> {
  const { saasctl } = session
  if (options.dryRun) return printSteps(session, 'tenant.load', await freeSlug(session, slug))
  const { loadTenant } = await import('../../../src/tenants/load.js')
  const { template, plan, server, region, engine, label: labels, displayName, baseline } = options
  const wish = { slug, file, template, plan, server, region, engine, labels, displayName, baseline }
  await printOutcome(session, await loadTenant(saasctl, wish, { template: saasctl.config.template }, session.wait()))
}

async function freeSlug({ saasctl }: Session, slug: string): Promise<string> {
  const [{ findTenant }, { slugTaken }] = await Promise.all([
    import('../../../src/catalog/tenants.js'),
    import('../../../src/tenants/slugs.js')
  ])
  const wanted = parseSlug(slug)
  if (await findTenant(saasctl.catalog, wanted)) throw slugTaken(wanted)
  return wanted
}
