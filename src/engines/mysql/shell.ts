import type { Credentials, ServerAddress, ShellCommand } from '../engine.js'

/**
 * The client of either flavour. All it needs is in a private file, for arguments are for every user of the machine to
 * read; of the options of its own user it reads none, which could lead it elsewhere.
 */
export function shell(
  { host, port, tls }: ServerAddress,
  database: string,
  as: Credentials,
  options: { readOnly: boolean }
): ShellCommand {
  const place: Record<string, string> = host.startsWith('/')
    ? { socket: host }
    : { host, port: String(port), protocol: 'tcp' }
  const client = { ...place, user: as.login, password: as.password.reveal() }
  const verified = { 'ssl-verify-server-cert': '1', ...(tls.ca !== undefined && { 'ssl-ca': '$SAASCTL_CA' }) }
  const readOnly = { 'init-command': 'SET SESSION TRANSACTION READ ONLY' }
  const text = [
    ...section('client', client),
    ...section('mysql', { database, ...(options.readOnly && readOnly) }),
    ...(tls.mode === 'verify-full'
      ? [
          ...section('client-mariadb', verified),
          // MySQL's client reads no section of its own: MariaDB's passes over what begins with `loose`, with a warning.
          ...section('client', { 'loose-ssl-mode': 'VERIFY_IDENTITY' })
        ]
      : [])
  ]
  return {
    programs: ['mariadb', 'mysql'],
    args: ['--defaults-file=$SAASCTL_OPTIONS'],
    env: {},
    files: { ...(tls.ca !== undefined && { SAASCTL_CA: tls.ca }), SAASCTL_OPTIONS: `${text.join('\n')}\n` },
    install: 'mariadb-client'
  }
}

function section(name: string, values: Record<string, string>): string[] {
  return [`[${name}]`, ...Object.entries(values).map(([key, value]) => `${key}=${quoted(value)}`)]
}

/** An option file reads backslashes as escapes, and the rest of a line after `#` as a comment unless it is quoted. */
function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
