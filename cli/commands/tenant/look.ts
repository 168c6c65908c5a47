import type { Command } from 'commander'
import { counted, notEmpty } from '../../flags.js'
import { verb } from '../../help.js'
import { filterFlags, type SelectorFlags, selectorOf, tenantPages } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'
import { tenantColumns, tenantView } from '../../views.js'

interface ListOptions extends SelectorFlags {
  limit?: number
  after?: string
}

const pageForPeople = 1000

export function addLook(noun: Command): void {
  const list = verb(noun, 'list', 'List tenants, in the order of their slugs', [
    'tenant list',
    'tenant list -l plan=pro,tier=gold --server eu-1',
    'tenant list --status deleted  # those that can still come back',
    'tenant list --limit 100 --after acme  # the next page',
    'tenant list -o ndjson | jq -r .slug  # every tenant, as it is read'
  ]).alias('ls')
  filterFlags(list)
    .option('--plan <name>', 'tenants on this plan', notEmpty)
    .option('--template <name>', 'tenants made from this template', notEmpty)
    .option('--limit <n>', 'at most so many; 1000 unless with -o ndjson', counted)
    .option('--after <slug>', 'begin after this slug')
    .action(withSaasctl(listTenants))
  verb(noun, 'show <slug>', 'Show one tenant, by slug or id', ['tenant show acme', 'tenant show acme -o json'])
    .alias('get')
    .action(withSaasctl(showTenant))
}

async function listTenants({ saasctl, print, progress }: Session, options: ListOptions): Promise<void> {
  const { after } = options
  const limit = options.limit ?? (print.streams ? Number.POSITIVE_INFINITY : pageForPeople)
  const rows: Array<ReturnType<typeof tenantView>> = []
  for await (const page of tenantPages(saasctl, selectorOf(options), { after, limit })) {
    const views = page.map(tenantView)
    rows.push(...views.slice(print.streams ? views.length : 0))
    if (print.streams) print.list(views, [...tenantColumns])
  }
  if (print.streams) return
  print.list(rows, [...tenantColumns])
  if (rows.length === 0) progress.next('No tenant fits. Make one: saasctl tenant create SLUG')
  else if (rows.length === limit)
    progress.notice(`These are the first ${limit}; go on with --after ${rows.at(-1)?.slug}.`)
}

async function showTenant({ saasctl, print }: Session, _options: object, slug: string): Promise<void> {
  const { mustFind } = await import('../../../src/tenants/find.js')
  print.one(tenantView(await mustFind(saasctl.catalog, slug)))
}
