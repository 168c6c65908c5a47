import { Argument, type Command } from 'commander'
import { type CatalogRole, catalogRoles } from '../../src/catalog/credentials.js'
import type { Config } from '../../src/config.js'
import { SaasctlError } from '../../src/errors.js'
import { agree } from '../confirm.js'
import { count } from '../flags.js'
import { verb } from '../help.js'
import { type Desk, type Session, withDesk, withSaasctl } from '../session.js'
import { plural } from '../text.js'

export function catalog(noun: Command): void {
  verb(noun, 'migrate', 'Bring the catalog to this program’s version', [
    'catalog migrate  # with SAASCTL_CATALOG_ADMIN_URL set to its owner'
  ]).action(withDesk(migrate))
  verb(noun, 'status', 'Show what the catalog is, and how much is in it', ['catalog status'])
    .alias('show')
    .action(withSaasctl(status))
  verb(noun, 'adopt', 'Declare a restored catalog the present one, and get back what came after it', [
    'catalog adopt --dry-run',
    'catalog adopt --yes',
    'catalog adopt --give t0123456789abcdefghijklmnop=acme'
  ])
    .option(
      '--give <database=slug>',
      'make a tenant of a database that nothing proves to be anybody’s; repeatable',
      gift,
      []
    )
    .option('--dry-run', 'list what servers and stores know and the catalog does not, and change nothing')
    .action(withSaasctl(adopt))
  verb(noun, 'backup', 'Back up the catalog itself, encrypted with a key of the control master', [
    'catalog backup',
    'catalog backup --to s3://backups/saasctl'
  ])
    .option('--to <store>', 'file:///FOLDER or s3://BUCKET/PREFIX; by default the store of all backups')
    .option('--keep <n>', 'how many the store keeps', count)
    .action(withSaasctl(backUp))
  verb(noun, 'backups', 'List the backups of the catalog in a store, newest first', [
    'catalog backups --from s3://backups/saasctl'
  ])
    .option('--from <store>', 'the store; by default that of all backups')
    .action(withDesk(backups))
  verb(noun, 'restore [backup]', 'Put a backup into an empty catalog database', [
    'catalog restore --latest --from s3://backups/saasctl',
    'catalog restore ./0198c5d2-….backup'
  ])
    .option('--latest', 'the newest in the store')
    .option('--from <store>', 'the store; by default that of all backups')
    .action(withDesk(restore))
  const credentials = noun.command('credentials').description('Logins of the catalog for other programs')
  verb(credentials, 'create', 'Make a login and print its settings, once', [
    'catalog credentials create router >> router.env'
  ])
    .addArgument(new Argument('<role>', 'what the program is').choices([...catalogRoles]))
    .action(withDesk(createCredentials))
}

async function migrate({ config, print, progress }: Desk): Promise<void> {
  const { migrateCatalog } = await import('../../src/catalog/migrate.js')
  const applied = await asOwner(config(), progress, migrateCatalog)
  print.list(
    applied.map(name => ({ name })),
    ['name']
  )
  progress.notice(applied.length === 0 ? 'The catalog is at this version already.' : 'The catalog is at this version.')
}

async function status({ saasctl, print }: Session): Promise<void> {
  const { catalogStatus } = await import('../../src/catalog/status.js')
  print.one(await catalogStatus(saasctl.catalog))
}

const gift = (text: string, before: string[]): string[] => [...before, text]

async function adopt(session: Session, { dryRun, give }: { dryRun?: true; give: string[] }): Promise<void> {
  const { saasctl, print, flags, progress } = session
  const [{ adoptRestored, planRescue }, { parseGift }] = await Promise.all([
    import('../../src/rescue/adopt.js'),
    import('../../src/rescue/give.js')
  ])
  const gifts = { gifts: give.map(parseGift), template: saasctl.config.template }
  const columns = ['found', 'tenant', 'server', 'database', 'message'] as const
  if (dryRun) {
    const found = await planRescue(saasctl, gifts)
    print.list(found, [...columns])
    const what = found.length === 0 ? 'Servers and stores know nothing that this catalog does not; n' : 'N'
    return progress.notice(`${what}othing was changed.`)
  }
  await agree('Every router reloads all tenants, and no operation from before the restore goes on by itself.', flags)
  const { lines, ...adopted } = await adoptRestored(saasctl, session.wait(), gifts)
  progress.clear()
  if (print.forPrograms) print.one({ ...adopted, lines })
  else {
    print.one(adopted)
    print.list(lines, [...columns, 'error'])
  }
  progress.next('See whether all is as it should be: saasctl doctor')
  const failed = lines.filter(({ error, found }) => error !== undefined || found === 'unreachable')
  if (failed.length > 0) {
    throw new SaasctlError('SOME_FAILED', `${plural(failed.length, 'thing')} could not be taken back; the rest is.`, {
      hint: 'Look at the lines above, and run "saasctl catalog adopt" again.'
    })
  }
}

async function backUp(session: Session, { to, keep }: { to?: string; keep?: number }): Promise<void> {
  const { saasctl, print, progress, flags } = session
  const [{ backupCatalog }, { bindAll }] = await Promise.all([
    import('../../src/rescue/backup.js'),
    import('../../src/rescue/bind.js')
  ])
  // What the backup cannot know any more, the servers will: whose each database is that came after it.
  const missed = flags.wait ? await bindAll(saasctl, session.wait()) : []
  for (const name of missed) progress.notice(`Server ${name} does not say yet whose its newest databases are.`)
  const options = { ...session.wait(), to, keep: keep ?? saasctl.config.catalogBackupKeep }
  const { id, result } = await backupCatalog(saasctl, options)
  progress.clear()
  if (!flags.wait) return progress.next(`Follow it with "saasctl operation watch ${id}".`)
  print.one({ operation: id, ...(result as { backupId: string; bytes: number }) })
  progress.notice('It opens with the control key alone: keep a key backup too, in another place.')
}

async function backups({ config, print }: Desk, { from }: { from?: string }): Promise<void> {
  const [{ listCatalogs }, { stores }] = await Promise.all([
    import('../../src/rescue/stored.js'),
    import('../../src/way-in.js')
  ])
  const opened = stores(config())
  print.list(await listCatalogs(await opened.open(from ?? opened.usual)), ['id', 'at', 'bytes', 'url'])
}

interface RestoreOptions {
  latest?: true
  from?: string
}

async function restore(
  { config, print, progress }: Desk,
  { latest, from }: RestoreOptions,
  backup?: string
): Promise<void> {
  if ((backup === undefined) === (latest === undefined)) {
    throw new SaasctlError('USAGE', 'Either one backup is named, or --latest is given.', {
      hint: 'List them with "saasctl catalog backups".'
    })
  }
  const [{ restoreCatalog }, { readCatalog }, { keyStore, stores }] = await Promise.all([
    import('../../src/rescue/restore.js'),
    import('../../src/rescue/stored.js'),
    import('../../src/way-in.js')
  ])
  const values = config()
  const stored = await readCatalog(stores(values), backup, from)
  const actor = { name: values.operator, proof: 'asserted' } as const
  print.one(await asOwner(values, progress, url => restoreCatalog(url, keyStore(values), stored, actor)))
  progress.next('Declare it the present one, and get back what came after it: saasctl catalog adopt')
}

async function createCredentials(
  { config, print, progress }: Desk,
  _options: object,
  role: CatalogRole
): Promise<void> {
  const { createCatalogLogin } = await import('../../src/catalog/credentials.js')
  const values = config()
  const routingKey = role === 'router' ? await routingKeyOf(values) : undefined
  const actor = { name: values.operator, proof: 'asserted' } as const
  const { login, url } = await asOwner(values, progress, owners => createCatalogLogin(owners, role, actor))
  const lines = [`SAASCTL_CATALOG_URL=${url}`, ...(routingKey ? [`SAASCTL_ROUTING_KEY=${routingKey}`] : [])]
  print.text(lines.join('\n'), { login, role, url, ...(routingKey && { routingKey }) })
  progress.notice('The password is kept nowhere else; it is not shown again.')
}

/** A router opens app logins with it, and nothing more. */
async function routingKeyOf(config: Config): Promise<string> {
  const { keyStore } = await import('../../src/way-in.js')
  return (await keyStore(config).read('routing')).toString('base64')
}

/** Does something as the catalog's owner; an error of the way in names the setting that it came from. */
async function asOwner<T>(config: Config, progress: Desk['progress'], act: (url: string) => Promise<T>): Promise<T> {
  try {
    return await act(await ownersUrl(config, progress))
  } catch (error) {
    if (!config.catalogAdmin || !(error instanceof SaasctlError) || !error.hint) throw error
    const hint = error.hint.replace('SAASCTL_CATALOG_URL', 'SAASCTL_CATALOG_ADMIN_URL')
    throw new SaasctlError(error.code, error.message, { ...error.toJSON(), hint, cause: error.cause })
  }
}

/** The owner's way into the catalog: what was configured for it, else the usual one; or the embedded server's. */
async function ownersUrl(config: Config, progress: Desk['progress']): Promise<string> {
  if (config.catalogAdmin) return config.catalogAdmin.reveal()
  if (config.catalog !== null) return (await (await import('../../src/way-in.js')).wayIn(config)).url
  const [{ embedded }, { embeddedAdminUrl }] = await Promise.all([
    import('../../src/embedded/embedded.js'),
    import('../../src/embedded/catalog.js')
  ])
  return embeddedAdminUrl(
    await embedded(config.home, { path: config.path }).ensure(sentence => progress.notice(sentence))
  )
}
