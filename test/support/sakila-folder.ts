import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sakila } from '../../examples/sakila.js'

const folder = process.env['SAKILA_DIR'] ?? sakila

/** The folder of Sakila's scripts; on a machine without them the test says so in one loud line, and gets undefined. */
export function sakilaFolder(t: Test): string | undefined {
  if (existsSync(join(folder, 'postgres-data.sql'))) return folder
  t.comment('NO SAKILA HERE: set SAKILA_DIR to the folder of its scripts to test with it.')
  return undefined
}
