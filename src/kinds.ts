import { SaasctlError } from './errors.js'
import type { Kind, Kinds } from './operations/kind.js'

/**
 * Every kind of operation there is, loaded when first worked. The ledger stores names, so a name is never reused for
 * something else. Input and work types are each kind's own; the runner only hands them back to it.
 */
const table: Record<string, () => Promise<unknown>> = {
  'tenant.create': async () => (await import('./tenants/create.js')).tenantCreate,
  'tenant.suspend': async () => (await import('./tenants/suspend.js')).tenantSuspend,
  'tenant.resume': async () => (await import('./tenants/resume.js')).tenantResume,
  'tenant.limits': async () => (await import('./tenants/update.js')).tenantLimits,
  'tenant.migrate': async () => (await import('./tenants/migrate.js')).tenantMigrate,
  'tenant.delete': async () => (await import('./tenants/delete.js')).tenantDelete,
  'tenant.undelete': async () => (await import('./tenants/undelete.js')).tenantUndelete,
  'tenant.purge': async () => (await import('./tenants/purge.js')).tenantPurge,
  'tenant.restore': async () => (await import('./restores/restore.js')).tenantRestore,
  'tenant.restore.undo': async () => (await import('./restores/undo.js')).tenantRestoreUndo,
  'tenant.clone': async () => (await import('./restores/clone.js')).tenantClone,
  'tenant.clone.held': async () => (await import('./restores/clone.js')).tenantCloneHeld,
  'tenant.backup': async () => (await import('./backups/backup.js')).tenantBackup,
  'backup.verify': async () => (await import('./backups/verify.js')).backupVerify,
  'backup.prune': async () => (await import('./backups/prune.js')).backupPrune,
  'tenant.adopt': async () => (await import('./tenants/adopt.js')).tenantAdopt,
  'tenant.load': async () => (await import('./tenants/load.js')).tenantLoad,
  'tenant.release': async () => (await import('./tenants/release.js')).tenantRelease,
  'tenant.erase': async () => {
    const [{ eraseWith }, { handOver }] = await Promise.all([
      import('./tenants/erase.js'),
      import('./exports/hand-over.js')
    ])
    return eraseWith(handOver)
  },
  'template.build': async () => (await import('./templates/build.js')).templateBuild,
  'warm.create': async () => (await import('./templates/warm-kinds.js')).warmCreate,
  'warm.migrate': async () => (await import('./templates/warm-kinds.js')).warmMigrate,
  'database.drop': async () => (await import('./databases/drop.js')).databaseDrop,
  'database.close': async () => (await import('./doctor/close.js')).databaseClose,
  'rollout.lane': async () => (await import('./rollouts/lane.js')).rolloutLane,
  'rollout.turn': async () => (await import('./rollouts/turn.js')).rolloutTurn,
  'rollout.rehearse': async () => (await import('./rollouts/rehearsal.js')).rolloutRehearse,
  'rollout.head': async () => (await import('./rollouts/head.js')).rolloutHead,
  'template.reference': async () => (await import('./templates/reference.js')).templateReference,
  'export.create': async () => (await import('./exports/create.js')).exportCreate,
  'export.import': async () => (await import('./exports/import.js')).exportImport,
  'catalog.backup': async () => (await import('./rescue/backup.js')).catalogBackup,
  'server.bind': async () => (await import('./rescue/bind.js')).serverBind,
  'tenant.recover': async () => (await import('./rescue/recover.js')).tenantRecover,
  'migration.check': async () => (await import('./migrations/operation.js')).migrationCheck
}

export const kinds: Kinds = {
  names: Object.keys(table),
  load: async name => {
    const load = table[name]
    if (!load) {
      throw new SaasctlError('FENCED', `This program knows no operation of the kind "${name}".`, {
        hint: 'A newer saasctl has begun it; let a worker of that version finish it.'
      })
    }
    return (await load()) as Kind
  }
}
