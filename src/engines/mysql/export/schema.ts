import type { DumpOptions } from '../../dump.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import { connect } from '../connect.js'
import { literal } from '../quote.js'
import { type Made, readSnapshot } from '../snapshot.js'

/** What SHOW CREATE says of everything, in an order in which it can be played with the client of MySQL or MariaDB. */
export async function schemaSql(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { signal }: DumpOptions
): Promise<string> {
  signal.throwIfAborted()
  const session = await connect(server, { database, as: owner, programName: 'saasctl/export' })
  try {
    const { tables, routines, views, triggers } = await readSnapshot(session, database, { rows: false })
    return [
      'SET NAMES utf8mb4;',
      'SET SESSION foreign_key_checks = 0;',
      'DELIMITER ;;',
      ...[...tables, ...routines, ...views, ...triggers].map(statement),
      'DELIMITER ;',
      'SET SESSION foreign_key_checks = 1;',
      ''
    ].join('\n')
  } finally {
    session.leave()
  }
}

function statement({ sql, mode }: Made): string {
  return `${mode === undefined ? '' : `SET SESSION sql_mode = ${literal(mode)};;\n`}${sql};;\n`
}
