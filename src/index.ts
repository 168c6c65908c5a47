/** The public API: what programs that provision and look after tenants are built on. */
export { type BackupOptions, type BackupOutcome, backupTenant } from './backups/backup.js'
export { holdBackup, releaseBackup } from './backups/hold.js'
export { listBackupsOf, type ShownBackup, showBackup } from './backups/list.js'
export { checkPolicies, type PolicyReport } from './backups/policy.js'
export { planPrune, pruneBackups } from './backups/prune.js'
export { type Verified, verifyBackup } from './backups/verify.js'
export { type Config, configFile, loadConfig } from './config.js'
export { type ErrorCode, errorTable, SaasctlError } from './errors.js'
export { type OpenOptions, open, type Saasctl } from './saasctl.js'
export { Secret } from './secret.js'
export { addServer, type NewServer } from './servers/add.js'
export {
  checkServer,
  cordonServer,
  removeServer,
  type ServerUpdate,
  uncordonServer,
  updateServer
} from './servers/change.js'
export { type BuildWish, type BuiltLine, buildTemplate } from './templates/build-template.js'
export { listTemplates, showTemplate } from './templates/list.js'
export { applyPlans, listPlans, showPlan } from './templates/plans.js'
export { createTenant, type NewTenant } from './tenants/create.js'
export { deleteTenant } from './tenants/delete.js'
export { addDomain, listDomains, removeDomain, type TenantDomain, verifyDomain } from './tenants/domains.js'
export { tenantDsn, tenantShell } from './tenants/enter.js'
export { mustFind as findTenant } from './tenants/find.js'
export { invalidateCache } from './tenants/invalidate.js'
export { migrateTenant, planTenantMigration, tenantMigrations } from './tenants/migrate.js'
export { purgeTenant } from './tenants/purge.js'
export { renameTenant } from './tenants/rename.js'
export { resumeTenant } from './tenants/resume.js'
export { suspendTenant } from './tenants/suspend.js'
export { undeleteTenant } from './tenants/undelete.js'
export { type TenantChange, updateTenant } from './tenants/update.js'
export type { TenantOutcome, Wait } from './tenants/work.js'
export { runWorker } from './worker.js'
