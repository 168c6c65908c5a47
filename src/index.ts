/** The public API: what programs that provision and look after tenants are built on. */
export { approvable } from './approvable.js'
export { findCertificate, type SignedCertificate } from './audit/certificate.js'
export { makeCheckpoint } from './audit/checkpoint.js'
export { readCheckpoint, writeCheckpoint } from './audit/checkpoint-file.js'
export { exportTrail } from './audit/export.js'
export { ownKeys, type TrustedKey } from './audit/verify/keys.js'
export { type Verified as VerifiedTrail, verifyTrail } from './audit/verify/verify.js'
export { verifyFile as verifyTrailFile } from './audit/verify/verify-file.js'
export { type BackupOptions, type BackupOutcome, backupTenant } from './backups/backup.js'
export { holdBackup, releaseBackup } from './backups/hold.js'
export { listBackupsOf, type ShownBackup, showBackup } from './backups/list.js'
export { checkPolicies, type PolicyReport } from './backups/policy.js'
export { planPrune, pruneBackups } from './backups/prune.js'
export { type Verified, verifyBackup } from './backups/verify.js'
export { type Config, configFile, loadConfig } from './config.js'
export { type ErrorCode, errorTable, SaasctlError } from './errors.js'
export { createExport, type ExportWish, mustFindExport as findExport } from './exports/create.js'
export { downloadExport } from './exports/download.js'
export { importExport } from './exports/import.js'
export { type Verdict, verifyExport } from './exports/verify.js'
export { findDrift } from './fleet/drift.js'
export { queryFleet } from './fleet/query.js'
export { type FleetStatus, fleetStatus } from './fleet/status.js'
export { approve, reject } from './operators/approvals.js'
export { createOperator, type Issued, renewToken, revokeOperator } from './operators/operators.js'
export { type CloneWish, cloneTenant, restoreAs } from './restores/clone.js'
export { type RestoreWish, restoreTenant } from './restores/restore.js'
export { undoRestore } from './restores/undo.js'
export {
  abortRollout,
  pauseRollout,
  planUndo as planRolloutUndo,
  type RolloutView,
  resumeRollout,
  retryRollout,
  showRollout,
  startRollout
} from './rollouts/control.js'
export { type FollowRollout, followRollout } from './rollouts/follow.js'
export { planRollout, type RolloutPlan, type RolloutWish } from './rollouts/plan.js'
export { type RolloutReport, reportOf as rolloutReport } from './rollouts/report.js'
export { type RolloutSettings, usualSettings as usualRollout } from './rollouts/settings.js'
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
export { dropTemplate } from './templates/drop-template.js'
export { listTemplates, showTemplate } from './templates/list.js'
export { applyPlans, listPlans, showPlan } from './templates/plans.js'
export { adoptTenant } from './tenants/adopt.js'
export { createTenant, type NewTenant } from './tenants/create.js'
export { deleteTenant } from './tenants/delete.js'
export { addDomain, listDomains, removeDomain, type TenantDomain, verifyDomain } from './tenants/domains.js'
export { tenantDsn, tenantShell } from './tenants/enter.js'
export { askErase } from './tenants/erase.js'
export { mustFind as findTenant } from './tenants/find.js'
export { askHold, askRelease } from './tenants/hold.js'
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
