import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageFolder } from './config.js'

/** The version of this program, from its package.json. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  return version
}
