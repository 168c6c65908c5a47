import type { Command } from 'commander'
import { addFleetBackup } from './fleet/backup.js'

export function fleet(noun: Command): void {
  addFleetBackup(noun)
}
