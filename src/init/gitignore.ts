import { existsSync } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

const LINE = '.saasctl/'

/** Keeps the home, which holds keys and a database, out of git. Gives what was done; undefined outside of a repository. */
export async function ignoreHome(folder: string): Promise<'written' | 'kept' | undefined> {
  if (!inRepository(folder)) return undefined
  const file = join(folder, '.gitignore')
  const text = await readFile(file, 'utf8').catch(() => '')
  if (text.split(/\r?\n/).some(line => /^\/?\.saasctl\/?\s*$/.test(line))) return 'kept'
  await appendFile(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${LINE}\n`)
  return 'written'
}

function inRepository(folder: string): boolean {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return true
    if (at === dirname(at)) return false
  }
}
