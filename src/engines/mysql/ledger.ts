import type { AppliedMigration } from '../engine.js'
import { identify } from './identity.js'
export const appliedMigrations = async (..._args: unknown[]): Promise<AppliedMigration[]> => {
  void identify
  return []
}
