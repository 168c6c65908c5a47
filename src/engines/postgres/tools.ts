import { SaasctlError } from '../../errors.js'
import { type Folder, findTools, type Tool } from '../tools.js'

/** Debian's own folders come before PATH: what it puts there is a script that starts Perl to find one of these. */
const FOLDERS: Folder[] = [
  { parent: '/usr/lib/postgresql', pattern: /^\d+$/, bin: 'bin' },
  { parent: '/usr', pattern: /^pgsql-\d+$/, bin: 'bin' },
  { parent: '/opt/homebrew/opt', pattern: /^(?:postgresql(?:@\d+)?|libpq)$/, bin: 'bin' },
  { parent: '/usr/local/opt', pattern: /^(?:postgresql(?:@\d+)?|libpq)$/, bin: 'bin' },
  { parent: '/Applications/Postgres.app/Contents/Versions', pattern: /^\d+$/, bin: 'bin' },
  { parent: '/opt/local/lib', pattern: /^postgresql\d+$/, bin: 'bin' },
  { parent: '/usr/local/pgsql', pattern: /^bin$/, bin: '.' }
]

export const majorOf = ({ version }: Tool): number => Number.parseInt(version, 10)

/** Every pg_dump of the machine. */
export async function findDumpTools(path: string): Promise<Tool[]> {
  const found = await findTools(['pg_dump'], path, FOLDERS)
  return found.filter(tool => tool.printed.startsWith('pg_dump (Postgre'))
}

/** The one that fits a server best: of its own major, or else the next newer one. Undefined when none is new enough. */
export function fittingTool(tools: Tool[], serverMajor: number): Tool | undefined {
  const fitting = tools.filter(tool => majorOf(tool) >= serverMajor)
  return fitting.sort((a, b) => majorOf(a) - majorOf(b))[0]
}

/** The packages that have what is missing. */
export const installHint = (major: number): string =>
  `Install postgresql-client-${major} (Debian) or postgresql@${major} (Homebrew), then try again.`

export function missing(major: number, why: string): SaasctlError {
  return new SaasctlError('TOOL_MISSING', why, { hint: installHint(major) })
}
