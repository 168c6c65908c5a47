import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import { loadTemplate } from '../templates/files.js'
import { nextPrefix } from './numbering.js'

export interface NewMigration {
  /** As ledgers will record it: the file's name without its ending. */
  name: string
  /** The files made, one per folder. */
  files: string[]
}

/**
 * Makes the next migration in each of the folders, under one number and name. The number goes on in the folders' own style.
 * Never overwrites: when one of the files cannot be made, none is. INVALID_INPUT for a name without a letter or digit.
 */
export async function newMigration(
  folders: readonly string[],
  name: string,
  { now = Date.now() } = {}
): Promise<NewMigration> {
  const unique = [...new Set(folders)]
  const present = await Promise.all(unique.map(folder => readdir(folder).catch(() => [])))
  const prefix = nextPrefix(present.flat(), now)
  const whole = prefix + fileName(name, prefix.at(-1) ?? '_')
  const made: string[] = []
  try {
    for (const folder of unique) {
      const file = join(folder, `${whole}.sql`)
      await mkdir(folder, { recursive: true })
      await writeFile(file, skeleton, { flag: 'wx' })
      made.push(file)
    }
  } catch (error) {
    for (const file of made) await rm(file)
    throw new SaasctlError('FAILED', `The migration ${whole} could not be written: ${(error as Error).message}.`, {
      hint: 'Nothing was made. Run the command again.',
      cause: error
    })
  }
  return { name: whole, files: made }
}

/** As `newMigration`, in every engine's folder of a template. TEMPLATE_NOT_FOUND, CONFIG_INVALID as when it is loaded. */
export async function newTemplateMigration(
  templatesFolder: string,
  template: string,
  name: string
): Promise<NewMigration> {
  const { engines } = await loadTemplate(templatesFolder, template)
  return newMigration(
    Object.values(engines).map(({ migrations }) => migrations),
    name
  )
}

function fileName(name: string, separator: string): string {
  const words = name
    .trim()
    .replace(/\.sql$/i, '')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean)
  const joined = words.join(separator)
  if (joined === '' || joined.length > 100) {
    throw new SaasctlError('INVALID_INPUT', `${quoteInput(name)} cannot be the name of a migration.`, {
      hint: 'Say in a few words what it does, as in "add phone to customers".'
    })
  }
  return joined
}

const skeleton = `-- Up Migration
-- Why, in a sentence. Each statement ends with ; at the end of its line. Bodies with such lines of their own,
-- as triggers and functions have, stand between two lines that say just: -- statement
-- All of it is one transaction. What cannot be in one needs this as the file's first line: -- saasctl: transaction=false


-- Down Migration
-- Takes back exactly what stands above, last thing first. "saasctl migration check" runs up, down and up.

`
