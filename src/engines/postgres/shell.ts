import type { Credentials, ServerAddress, ShellCommand } from '../engine.js'

/** psql, with everything it needs in its environment: arguments are for every user of the machine to read. */
export function shell(
  server: ServerAddress,
  database: string,
  as: Credentials,
  options: { readOnly: boolean }
): ShellCommand {
  const { host, port, tls } = server
  return {
    programs: ['psql'],
    // From a pipe it would go on behind an error, and end as if all were well. Whoever types is asked for the next line.
    args: ['--set=ON_ERROR_STOP=1'],
    env: {
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
      PGUSER: as.login,
      PGPASSWORD: as.password.reveal(),
      PGAPPNAME: 'saasctl/shell',
      PGSSLMODE: tls.mode,
      // `system` takes libpq 16; an older one says so instead of trusting whoever answers.
      ...(tls.mode === 'verify-full' && tls.ca === undefined && { PGSSLROOTCERT: 'system' }),
      ...(options.readOnly && { PGOPTIONS: '-c default_transaction_read_only=on' })
    },
    ...(tls.ca !== undefined && { files: { PGSSLROOTCERT: tls.ca } }),
    install: 'postgresql-client'
  }
}
