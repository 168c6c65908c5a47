import type { Command } from 'commander'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'

interface DsnOptions {
  readOnly?: boolean
  reveal?: boolean
  reason?: string
}

interface ShellOptions {
  write?: boolean
  reason?: string
}

export function addEnter(noun: Command): void {
  verb(noun, 'dsn <slug>', 'Print the connection string of a tenant, without its password', [
    'tenant dsn acme',
    'tenant dsn acme --read-only',
    'tenant dsn acme --reveal --reason "debugging 17"  # with the password; the audit trail knows'
  ])
    .option('--read-only', 'the login that can only read')
    .option('--reveal', 'with the password')
    .option('--reason <text>', 'for the audit trail')
    .action(withSaasctl(dsn))
  verb(noun, 'shell <slug>', 'Enter a tenant’s database, read-only unless told otherwise', [
    'tenant shell acme',
    'tenant shell acme --write --reason "fix invoice 42"',
    'tenant shell acme < report.sql'
  ])
    .aliases(['psql', 'mysql'])
    .option('--write', 'as the application, which may change data')
    .option('--reason <text>', 'for the audit trail')
    .action(withSaasctl(shell))
}

async function dsn({ saasctl, print, progress }: Session, options: DsnOptions, slug: string): Promise<void> {
  const { tenantDsn } = await import('../../../src/tenants/enter.js')
  const { readOnly = false, reveal = false, reason } = options
  const text = await tenantDsn(saasctl, slug, { readOnly, reveal, reason })
  print.text(text, { slug, dsn: text, readOnly, revealed: reveal })
  if (!reveal) progress.next('Its password is shown with --reveal.')
}

async function shell(
  { saasctl, interrupt }: Session,
  { write = false, reason }: ShellOptions,
  slug: string
): Promise<void> {
  const [{ tenantShell }, { runShell }] = await Promise.all([
    import('../../../src/tenants/enter.js'),
    import('../../shell.js')
  ])
  const command = await tenantShell(saasctl, slug, { write, reason })
  interrupt.end()
  await runShell(command, saasctl.config.path)
}
