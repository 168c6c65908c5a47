import type { Finding } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import type { Flavour } from './flavour.js'
import type { Session } from './session.js'

const NEWEST_TESTED: Record<Flavour, string> = { mariadb: '10.11', mysql: 'none' }
const NAMES = { mariadb: 'MariaDB', mysql: 'MySQL' }

interface Setting {
  name: string
  good: (value: string | null) => boolean
  /** For `SET GLOBAL`; absent where only the configuration file helps. */
  set?: string
  /** The line of the configuration file. */
  line: string
  why: string
  /** A tenant could get out of its database, or a password into a log. */
  grave?: true
}

const off = (value: string | null) => value === null || value === '0' || value === 'OFF'
const on = (value: string | null) => value === '1' || value === 'ON'

/** A setting, the value that is safe, and why. A flavour that does not have it passes. */
const settings: readonly Setting[] = [
  {
    name: 'local_infile',
    good: off,
    set: 'OFF',
    line: 'local_infile = 0',
    why: 'a server may ask an application for any file of its machine'
  },
  {
    name: 'secure_file_priv',
    good: value => value !== '',
    line: 'secure_file_priv = /var/lib/mysql-files',
    why: 'a login with the right FILE reads and writes anywhere that the server may, also in other databases’ folders'
  },
  {
    name: 'skip_name_resolve',
    good: on,
    line: 'skip_name_resolve = 1',
    why: 'each new connection waits for a name server, and who controls names chooses which account is meant'
  },
  {
    name: 'sql_mode',
    good: value => /STRICT_(TRANS|ALL)_TABLES/.test(value ?? ''),
    set: `CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES')`,
    line: 'sql_mode = STRICT_TRANS_TABLES,…',
    why: 'an application that does not set its own mode has values cut to fit without an error'
  },
  {
    name: 'lower_case_table_names',
    good: value => value === '0',
    line: 'lower_case_table_names = 0, on a new server: the value cannot be changed later',
    why: 'names of tables are not told apart by case, so a tenant cannot be moved to an ordinary Linux server as it is'
  },
  {
    name: 'partial_revokes',
    good: off,
    set: 'OFF',
    line: 'partial_revokes = OFF',
    why: 'rights on a pattern of names are taken for one name, and the control login has none on tenants’ databases',
    grave: true
  },
  {
    name: 'log_raw',
    good: off,
    set: 'OFF',
    line: 'log_raw = OFF',
    why: 'statements are logged with the passwords in them',
    grave: true
  },
  {
    name: 'general_log',
    good: off,
    set: 'OFF',
    line: 'general_log = 0',
    why: 'every tenant’s statements, values and all, are written to one log'
  },
  {
    name: 'old_passwords',
    good: off,
    set: '0',
    line: 'old_passwords = 0',
    why: 'new passwords are stored as 16 characters that are quickly guessed'
  },
  {
    name: 'innodb_flush_log_at_trx_commit',
    good: value => value === '1',
    set: '1',
    line: 'innodb_flush_log_at_trx_commit = 1',
    why: 'a power cut loses what was reported as done'
  },
  {
    name: 'innodb_file_per_table',
    good: value => value === null || on(value),
    set: 'ON',
    line: 'innodb_file_per_table = 1',
    why: 'the room of a dropped tenant is never given back'
  }
]

export async function checkSettings(session: Session): Promise<Finding[]> {
  const names = [...settings.map(({ name }) => name), 'log_bin', 'binlog_format', 'log_bin_trust_function_creators']
  const rows = await session.rows<{ Variable_name: string; Value: string | null }>(
    'SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)',
    [names]
  )
  const values = new Map(rows.map(row => [row.Variable_name, row.Value]))
  return [version(session), ...settings.flatMap(setting => findingOf(setting, values)), ...binlog(values)]
}

function findingOf({ name, good, set, line, why, grave }: Setting, values: Map<string, string | null>): Finding[] {
  const value = values.get(name)
  if (value === undefined) return []
  const code = `setting.${name}`
  if (good(value)) return [ok(code, `${name} is ${value || 'NULL'}.`)]
  const message = `${name} is ${value === '' ? 'empty' : value}: ${why}.`
  const now = set === undefined ? '' : `SET GLOBAL ${name} = ${set}; and `
  const fix = `${now}in the server’s configuration, section [mysqld]: ${line}${set === undefined ? '; restart it' : ''}.`
  return [grave ? wrong(code, message, fix) : warning(code, message, fix)]
}

/** With a binary log, some of what migrations do is refused or does not come out the same on a replica. */
function binlog(values: Map<string, string | null>): Finding[] {
  if (!on(values.get('log_bin') ?? null)) return []
  const found: Finding[] = []
  if (values.get('binlog_format') === 'STATEMENT') {
    found.push(
      warning(
        'setting.binlog_format',
        'binlog_format is STATEMENT: a replica may get other rows from the same statement.',
        'SET GLOBAL binlog_format = ROW; and in the server’s configuration, section [mysqld]: binlog_format = ROW.'
      )
    )
  }
  if (off(values.get('log_bin_trust_function_creators') ?? null)) {
    found.push(
      warning(
        'setting.log_bin_trust_function_creators',
        'log_bin_trust_function_creators is OFF: with a binary log, migrations may make no trigger and no function.',
        'SET GLOBAL log_bin_trust_function_creators = ON; and in the server’s configuration, section [mysqld]: ' +
          'log_bin_trust_function_creators = 1.'
      )
    )
  }
  return found.length > 0 ? found : [ok('setting.log_bin', 'The binary log takes what migrations do.')]
}

function version({ version, flavour }: Session): Finding {
  const name = `${NAMES[flavour]} ${version}`
  const tested = NEWEST_TESTED[flavour]
  const series = version.split('.').slice(0, 2).join('.')
  return series === tested
    ? ok('server.version', `${name} is of the series that is tested.`)
    : warning('server.version', `${name} is not of a series that was tested (MariaDB ${NEWEST_TESTED.mariadb}).`)
}
