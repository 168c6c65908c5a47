import { access, constants, realpath } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { run } from './programs.js'
import type { RunAs } from './user.js'

/** A MariaDB or MySQL server of the machine, and what makes its data folder. */
export interface MysqlBinaries {
  flavour: 'mariadb' | 'mysql'
  /** As it prints itself, for people: `10.11.19`. */
  version: string
  server: string
  /** MariaDB's `mariadb-install-db`; MySQL's server makes its folder itself. */
  install: string | undefined
}

/** Servers are kept out of an ordinary user's PATH; Homebrew keeps versions in folders of their own. */
const FOLDERS = [
  '/usr/sbin',
  '/usr/libexec',
  '/usr/local/sbin',
  '/opt/homebrew/opt/mariadb/bin',
  '/usr/local/opt/mariadb/bin',
  '/opt/homebrew/opt/mysql/bin',
  '/usr/local/opt/mysql/bin',
  '/usr/local/mysql/bin'
]

const OLDEST = { mariadb: '10.11', mysql: '8.0' }

/** Every MariaDB and MySQL here that the user can run, one per flavour, the first found of each. `path` is that of PATH. */
export async function mysqlBinaries(path: string, user: RunAs | undefined): Promise<MysqlBinaries[]> {
  const folders = [...new Set([...path.split(delimiter).filter(Boolean), ...FOLDERS])]
  const found: MysqlBinaries[] = []
  for (const program of ['mariadbd', 'mysqld']) {
    for (const folder of folders) {
      const binaries = await inspect(join(folder, program), user)
      if (binaries && found.every(({ flavour }) => flavour !== binaries.flavour)) found.push(binaries)
    }
  }
  return found
}

/** Asks the server who it is: on many machines `mysqld` is a link to MariaDB's. */
async function inspect(server: string, user: RunAs | undefined): Promise<MysqlBinaries | undefined> {
  if (!(await executable(server))) return undefined
  const printed = await run(server, ['--no-defaults', '--version'], { user }).catch(() => '')
  const version = /Ver (\d+\.\d+\.\d+)/.exec(printed)?.[1]
  if (version === undefined) return undefined
  const flavour = /mariadb/i.test(printed) ? 'mariadb' : 'mysql'
  if (version.localeCompare(OLDEST[flavour], 'en', { numeric: true }) < 0) return undefined
  const install = flavour === 'mariadb' ? await installer(server) : undefined
  return flavour === 'mariadb' && install === undefined ? undefined : { flavour, version, server, install }
}

async function installer(server: string): Promise<string | undefined> {
  const home = dirname(await realpath(server))
  for (const folder of [home, join(home, '../bin'), join(home, '../scripts'), '/usr/bin']) {
    for (const name of ['mariadb-install-db', 'mysql_install_db']) {
      const path = join(folder, name)
      if (await executable(path)) return path
    }
  }
  return undefined
}

function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false
  )
}
