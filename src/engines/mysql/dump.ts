import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { SaasctlError } from '../../errors.js'
import { authorityFile } from '../authority-file.js'
import { startTool } from '../child.js'
import type { Dump, DumpFacts, DumpOptions } from '../dump.js'
import type { AppliedMigration, Credentials, ServerAddress } from '../engine.js'
import { toolFailed, toolStream } from '../tool-stream.js'
import { connect } from './connect.js'
import { CountedRows } from './count-rows.js'
import { scrub } from './errors.js'
import { withExactRows } from './exact-rows.js'
import { fingerprintOf } from './fingerprint.js'
import type { Flavour } from './flavour.js'
import { applied } from './ledger.js'
import { openMoment } from './moment.js'
import { ScriptStatements } from './script-statements.js'
import type { Session } from './session.js'
import { findDumpTool } from './tools.js'

/** What mysqldump writes, behind one line of ours. */
export const SCRIPT = 'mysql-script'

/** The first line of a dump: what of ours is not in the database itself. */
export interface ScriptHead {
  database: string
  migrations: Array<{ name: string; at: string }>
}

export const HEAD_MARK = '-- saasctl '

/**
 * Dumps a database with the flavour's own tool as its owner; where it has a FLOAT, the rows are read by us, all of them in
 * one moment. Rows are counted as they pass; the schema has no snapshot here, so that a dump in which it changed is refused.
 */
export async function dump(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { signal, path }: DumpOptions
): Promise<Dump> {
  signal.throwIfAborted()
  const look = () => lookAt(server, database, owner)
  const before = await look()
  const tool = await findDumpTool(path, before.flavour, before.version)
  const reader = { signal, programName: 'saasctl/dump' }
  const moment = before.floats ? await openMoment(server, database, owner, reader) : null
  const authority = await authorityFile(server.tls.ca)
  const options = moment ? [...OPTIONS[before.flavour], '--no-data'] : OPTIONS[before.flavour]
  const args = [...wayTo(server, owner.login, before.flavour, authority.path), ...options, database]
  const child = startTool(tool.path, args, { MYSQL_PWD: owner.password.reveal() })
  const output = moment ? Readable.from(withExactRows(child.output, moment), { objectMode: false }) : child.output
  const statements = new ScriptStatements()
  const counted = new CountedRows()
  const count = (chunk: Buffer) => {
    for (const statement of statements.push(chunk)) counted.look(statement)
  }
  const name = `${before.flavour === 'mariadb' ? 'mariadb-dump' : 'mysqldump'} ${tool.version}`
  const whole = async (): Promise<DumpFacts> => {
    const ended = await child.ended
    if (!ended.ok) throw toolFailed(name, database, scrub(ended.said))
    if (moment) await finished(output)
    const after = await look()
    if (after.fingerprint !== before.fingerprint || after.head !== before.head) throw changed(database)
    for (const statement of statements.end().statements) counted.look(statement)
    const { version: serverVersion, fingerprint, migrations } = before
    const by = moment ? `${name}, rows by saasctl` : name
    return { format: SCRIPT, tool: by, serverVersion, rows: counted.rows, fingerprint, migrations }
  }
  return toolStream({
    format: SCRIPT,
    compressed: false,
    database,
    child: { ...child, output },
    facts: whole(),
    signal,
    head: before.head,
    look: count,
    over: () => {
      if (moment) output.destroy()
      moment?.end()
      void child.ended.then(authority.remove)
    }
  })
}

/** What the tool does not say: schema and ledger, as they are now. */
async function lookAt(server: ServerAddress, database: string, owner: Credentials) {
  const session = await connect(server, { database, as: owner, programName: 'saasctl/dump' })
  try {
    const fingerprint = await fingerprintOf(session)
    const migrations = await applied(session)
    const head = headLine(database, migrations)
    const floats = await hasFloats(session)
    return { flavour: session.flavour, version: session.version, fingerprint, migrations, head, floats }
  } finally {
    session.leave()
  }
}

async function hasFloats(session: Session): Promise<boolean> {
  const found = await session.rows(
    `SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND DATA_TYPE = 'float'
       AND COALESCE(GENERATION_EXPRESSION, '') = '' LIMIT 1`,
    [session.place.database]
  )
  return found.length > 0
}

function headLine(database: string, migrations: AppliedMigration[]): string {
  const head: ScriptHead = { database, migrations: migrations.map(({ name, at }) => ({ name, at: at.toISOString() })) }
  return `${HEAD_MARK}${JSON.stringify(head)}\n`
}

/** The password is in the environment; host and login are for every user of the machine to read anyway. */
function wayTo({ host, port, tls }: ServerAddress, login: string, flavour: Flavour, authority?: string): string[] {
  const place = host.startsWith('/') ? [`--socket=${host}`] : [`--host=${host}`, `--port=${port}`, '--protocol=tcp']
  const verified = flavour === 'mariadb' ? ['--ssl', '--ssl-verify-server-cert'] : ['--ssl-mode=VERIFY_IDENTITY']
  const plain = flavour === 'mariadb' ? ['--skip-ssl'] : ['--ssl-mode=DISABLED', '--get-server-public-key']
  const secured = tls.mode === 'verify-full' ? [...verified, ...(authority ? [`--ssl-ca=${authority}`] : [])] : plain
  return ['--no-defaults', ...place, `--user=${login}`, ...secured]
}

const COMMON = [
  '--single-transaction',
  '--quick',
  '--no-tablespaces',
  '--routines',
  '--triggers',
  '--skip-lock-tables',
  '--skip-add-locks',
  '--skip-disable-keys',
  '--skip-comments',
  '--hex-blob',
  '--tz-utc',
  '--default-character-set=utf8mb4',
  '--max-allowed-packet=1G'
]

const OPTIONS: Record<Flavour, string[]> = {
  mariadb: COMMON,
  mysql: [...COMMON, '--set-gtid-purged=OFF', '--column-statistics=0']
}

const changed = (database: string) =>
  new SaasctlError('SERVER_BUSY', `The schema of database "${database}" was changed while it was dumped.`, {
    hint: 'Try again when no migration is under way.',
    retryable: true
  })
