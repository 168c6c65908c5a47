import type { Command } from 'commander'
import { addAdopt } from './tenant/adopt.js'
import { addBackup } from './tenant/backup.js'
import { addCreate } from './tenant/create.js'
import { addDelete } from './tenant/delete.js'
import { addDomain } from './tenant/domain.js'
import { addEnter } from './tenant/enter.js'
import { addInvalidate } from './tenant/invalidate.js'
import { addLook } from './tenant/look.js'
import { addMigrate } from './tenant/migrate.js'
import { addPause } from './tenant/pause.js'
import { addRestore } from './tenant/restore.js'
import { addUpdate } from './tenant/update.js'

export function tenant(noun: Command): void {
  addCreate(noun)
  addLook(noun)
  addUpdate(noun)
  addMigrate(noun)
  addPause(noun)
  addBackup(noun)
  addDelete(noun)
  addRestore(noun)
  addAdopt(noun)
  addEnter(noun)
  addDomain(noun)
  addInvalidate(noun)
}
