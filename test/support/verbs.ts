import { backupTenant } from '../../src/backups/backup.js'
import { pruneBackups } from '../../src/backups/prune.js'
import { verifyBackup } from '../../src/backups/verify.js'
import type { Json } from '../../src/canonical.js'
import type { OperationRow } from '../../src/catalog/operations.js'
import { listServers } from '../../src/catalog/servers.js'
import { startDrop } from '../../src/databases/drop.js'
import { migrationsChecksum } from '../../src/databases/plan-migrations.js'
import { doctor } from '../../src/doctor/doctor.js'
import { createExport } from '../../src/exports/create.js'
import { importExport } from '../../src/exports/import.js'
import { checkMigrations } from '../../src/migrations/check.js'
import { resumeOperation } from '../../src/operations/inspect.js'
import type { ProgressLine } from '../../src/operations/run.js'
import { backupCatalog } from '../../src/rescue/backup.js'
import { bindAll } from '../../src/rescue/bind.js'
import { discover } from '../../src/rescue/discover.js'
import { recoverTenant } from '../../src/rescue/recover.js'
import { cloneTenant } from '../../src/restores/clone.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { undoRestore } from '../../src/restores/undo.js'
import { operationsOfRollout, startRollout } from '../../src/rollouts/control.js'
import { planRollout } from '../../src/rollouts/plan.js'
import { rehearseRollout } from '../../src/rollouts/rehearse.js'
import { usualSettings } from '../../src/rollouts/settings.js'
import type { Saasctl } from '../../src/saasctl.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { schemaReference } from '../../src/templates/reference.js'
import { readTemplate } from '../../src/templates/register.js'
import { adoptTenant } from '../../src/tenants/adopt.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { loadTenant } from '../../src/tenants/load.js'
import { migrateTenant } from '../../src/tenants/migrate.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { releaseTenant } from '../../src/tenants/release.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { updateTenant } from '../../src/tenants/update.js'
import { eraseAsTwo } from './operators.js'

type Argument = Record<string, Json>
type Verb = (saasctl: Saasctl, argument: Argument, onProgress: (line: ProgressLine) => void) => Promise<unknown>

const slugOf = (argument: Argument) => String(argument['slug'])

/** What a customer does with the control plane, by name: so that another process can be told to do it. */
export const verbs = {
  create: (saasctl, argument, onProgress) =>
    createTenant(
      saasctl,
      { slug: slugOf(argument), ...argument },
      { template: saasctl.config.template },
      { wait: argument['wait'] !== false, onProgress }
    ),
  suspend: (saasctl, argument, onProgress) => suspendTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  resume: (saasctl, argument, onProgress) => resumeTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  delete: (saasctl, argument, onProgress) => deleteTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  undelete: (saasctl, argument, onProgress) => undeleteTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  purge: (saasctl, argument, onProgress) => purgeTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  adopt: async (saasctl, argument, onProgress) => {
    const [server] = await listServers(saasctl.catalog)
    const wish = { server: server?.name ?? '', database: String(argument['database']), baseline: '0002_grown' }
    const { template } = saasctl.config
    return adoptTenant(saasctl, { slug: slugOf(argument), template, ...wish }, { wait: true, onProgress })
  },
  load: (saasctl, argument, onProgress) => {
    const wish = { slug: slugOf(argument), file: String(argument['file']), baseline: '0002_grown' }
    return loadTenant(saasctl, wish, { template: saasctl.config.template }, { wait: true, onProgress })
  },
  release: (saasctl, argument, onProgress) => releaseTenant(saasctl, slugOf(argument), { wait: true, onProgress }),
  erase: (saasctl, argument, onProgress) => eraseAsTwo(saasctl, slugOf(argument), { onProgress }),
  limits: (saasctl, argument, onProgress) =>
    updateTenant(saasctl, slugOf(argument), { plan: String(argument['plan']) }, { wait: true, onProgress }),
  migrate: (saasctl, argument, onProgress) => {
    const wish = { direction: argument['direction'] === 'down' ? 'down' : 'up', to: null } as const
    return migrateTenant(saasctl, slugOf(argument), wish, { wait: true, onProgress })
  },
  restore: (saasctl, argument, onProgress) => restoreTenant(saasctl, slugOf(argument), {}, { wait: true, onProgress }),
  undo: (saasctl, argument, onProgress) =>
    undoRestore(saasctl, slugOf(argument), { discardWrites: true }, { wait: true, onProgress }),
  clone: (saasctl, argument, onProgress) => {
    const wish = { as: String(argument['as']), hold: argument['hold'] === true }
    return cloneTenant(saasctl, slugOf(argument), wish, { wait: true, onProgress })
  },
  build: (saasctl, argument, onProgress) =>
    buildTemplate(
      saasctl,
      saasctl.config.template,
      {
        again: argument['again'] === true,
        warm: argument['warm'] === undefined ? undefined : Number(argument['warm'])
      },
      { wait: true, onProgress }
    ),
  rollout: async (saasctl, _argument, onProgress) => {
    const { template } = saasctl.config
    const all = { template, selector: {}, wholeFleet: true, direction: 'up', to: null, allow: [] } as const
    const { id } = await planRollout(saasctl, { ...all, allow: [], settings: usualSettings })
    if (id === undefined) return
    await startRollout(saasctl, id)
    for (let open = await operationsOfRollout(saasctl.catalog, id); open.length > 0; ) {
      for (const operation of open) await saasctl.operations.wake(operation.id, { onProgress })
      open = await operationsOfRollout(saasctl.catalog, id)
    }
  },
  rehearse: async (saasctl, argument, onProgress) => {
    const { template } = saasctl.config
    const all = { template, selector: {}, wholeFleet: true, direction: 'up', to: null, allow: [] } as const
    const { id } = await planRollout(saasctl, { ...all, allow: [], settings: usualSettings })
    if (id !== undefined) await rehearseRollout(saasctl, id, { on: slugOf(argument), onProgress })
  },
  drop: async (saasctl, argument, onProgress) => {
    const claim = await saasctl.operations.claim(true)
    const { actor } = saasctl
    const started: OperationRow = await saasctl.catalog.transaction(actor, tx =>
      startDrop(tx, String(argument['databaseId']), { actor, claim })
    )
    return saasctl.operations.follow(started, { onProgress })
  },
  backup: (saasctl, argument, onProgress) => {
    const keepSeconds = argument['keep'] === undefined ? undefined : Number(argument['keep'])
    return backupTenant(saasctl, slugOf(argument), { wait: true, onProgress, keepSeconds })
  },
  verify: (saasctl, argument, onProgress) =>
    verifyBackup(saasctl, String(argument['backup']), { wait: true, onProgress }),
  prune: (saasctl, _, onProgress) => pruneBackups(saasctl, undefined, { wait: true, onProgress }),
  check: (saasctl, _, onProgress) => checkMigrations(saasctl, saasctl.config.template, { onProgress }),
  /** Forgets what it knew, so that the schema is read anew. */
  reference: async (saasctl, _, onProgress) => {
    await saasctl.catalog.query('delete from saasctl.schema_reference')
    const { template } = saasctl.config
    const { migrations } = await readTemplate(saasctl.folders.templates, template)
    const [server] = await listServers(saasctl.catalog)
    if (!server) throw new Error('There is no server.')
    const files = migrations[server.engine] ?? []
    return schemaReference(saasctl, { template, server, checksum: migrationsChecksum(files, files) }, { onProgress })
  },
  doctor: (saasctl, _, onProgress) => doctor(saasctl, { fix: true, onProgress }),
  export: (saasctl, argument, onProgress) =>
    createExport(
      saasctl,
      slugOf(argument),
      {
        formats: ['jsonl', 'csv'],
        container: 'tar.gz',
        target: null,
        masked: false,
        certificate: null,
        reason: 'a scene',
        ...(typeof argument['out'] === 'string' && { target: argument['out'] })
      },
      { wait: true, onProgress }
    ),
  import: (saasctl, argument, onProgress) =>
    importExport(saasctl, { file: String(argument['file']), slug: slugOf(argument) }, (wish, filling) =>
      createTenant(saasctl, wish, wish, { wait: true, onProgress }, filling)
    ),
  'back-up-catalog': (saasctl, _argument, onProgress) => backupCatalog(saasctl, { wait: true, keep: 2, onProgress }),
  bind: (saasctl, _argument, onProgress) => bindAll(saasctl, { wait: true, onProgress }),
  recover: async (saasctl, argument, onProgress) => {
    const { unknown } = await discover(saasctl)
    const found = unknown.find(({ bound }) => bound.tenant.slug === slugOf(argument))
    if (found) await recoverTenant(saasctl, found, { moves: false }, { wait: true, onProgress })
  },
  /** Goes on with somebody else's operation. */
  go: (saasctl, argument, onProgress) => resumeOperation(saasctl, String(argument['operation']), { onProgress })
} satisfies Record<string, Verb>

export type VerbName = keyof typeof verbs

export function doVerb(
  saasctl: Saasctl,
  name: VerbName,
  argument: Argument,
  onProgress: (line: ProgressLine) => void = () => {}
): Promise<unknown> {
  const verb: Verb = verbs[name]
  return verb(saasctl, argument, onProgress)
}
