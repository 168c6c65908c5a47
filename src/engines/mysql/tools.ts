import { SaasctlError } from '../../errors.js'
import { type Folder, findTools, type Tool } from '../tools.js'
import type { Flavour } from './flavour.js'

const FOLDERS: Folder[] = [
  { parent: '/opt/homebrew/opt', pattern: /^(?:mariadb|mysql(?:-client)?)(?:@[\d.]+)?$/, bin: 'bin' },
  { parent: '/usr/local/opt', pattern: /^(?:mariadb|mysql(?:-client)?)(?:@[\d.]+)?$/, bin: 'bin' },
  { parent: '/usr/local/mysql', pattern: /^bin$/, bin: '.' }
]

/** The flavours' dump programs are no longer each other's: one reads tables of the system that the other has not. */
export async function findDumpTool(path: string, flavour: Flavour, serverVersion: string): Promise<Tool> {
  const found = await findTools(['mariadb-dump', 'mysqldump'], path, FOLDERS)
  const own = found.filter(({ printed }) => /mariadb/i.test(printed) === (flavour === 'mariadb'))
  const tool = own.find(({ version }) => seriesOf(version) >= seriesOf(serverVersion))
  if (tool) return tool
  const program = flavour === 'mariadb' ? 'mariadb-dump' : 'mysqldump'
  const why = own[0]
    ? `The ${program} on this machine is ${own[0].version}, older than the server, which is ${serverVersion}.`
    : `No ${program} is on this machine.`
  throw new SaasctlError('TOOL_MISSING', why, {
    hint:
      flavour === 'mariadb'
        ? 'Install mariadb-client (Debian) or mariadb (Homebrew) of the server’s version, then try again.'
        : 'Install mysql-client (Debian) or mysql-client (Homebrew) of the server’s version, then try again.'
  })
}

/** 10.11 as 10011: what comes behind it mends and changes nothing. */
function seriesOf(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major * 1000 + minor
}
