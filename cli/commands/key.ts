import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { fileTrouble, writeNew } from '../files.js'
import { verb } from '../help.js'
import { type PasswordFlags, passwordFlags, readPassword } from '../password.js'
import { type Desk, type Session, withDesk, withSaasctl } from '../session.js'

interface BackupOptions extends PasswordFlags {
  out?: string
}

export function key(noun: Command): void {
  verb(noun, 'status', 'Show which keys there are, and what hangs on each', ['key status'])
    .alias('show')
    .action(withSaasctl(status))
  const backup = verb(noun, 'backup [file]', 'Write all keys as one text that only a passphrase opens', [
    'key backup keys.backup',
    'key backup --password-file /run/secrets/passphrase > keys.backup'
  ]).option('--out <file>', 'a new file for it, as the argument; without either it is printed')
  passwordFlags(backup, 'the passphrase').action(withSaasctl(backUp))
  const restore = verb(noun, 'restore <file>', 'Put the keys of a backup into the key store; none is replaced', [
    'key restore keys.backup'
  ])
  passwordFlags(restore, 'the passphrase').action(withDesk(putBack))
}

async function status({ saasctl, print, progress }: Session): Promise<void> {
  const { keyStatus } = await import('../../src/keys/keys.js')
  const details = await keyStatus(saasctl)
  const { keys, ...shown } = details
  print.one(details, shown)
  if (!print.forPrograms) print.list(keys, ['name', 'id', 'wraps', 'lost'])
  if (details.backedUpAt === null) progress.next('Back them up: saasctl key backup FILE')
}

async function backUp({ saasctl, print, progress }: Session, options: BackupOptions, argument?: string): Promise<void> {
  const file = argument ?? options.out
  const passphrase = await readPassword('the passphrase', options, { twice: true })
  const { backupKeys } = await import('../../src/keys/keys.js')
  if (file === undefined) {
    const backup = await backupKeys(saasctl, passphrase)
    print.text(backup, { backup })
  } else {
    // The file is made first: the catalog remembers a backup only when there is a place for it.
    await writeNew(file, () => backupKeys(saasctl, passphrase))
  }
  progress.notice('Keep it away from the catalog’s backups, and the passphrase away from both.')
}

async function putBack({ config, print }: Desk, options: PasswordFlags, file: string): Promise<void> {
  const [{ restoreKeys }, { keyStore }] = await Promise.all([
    import('../../src/secrets/key-backup.js'),
    import('../../src/way-in.js')
  ])
  const content = await readFile(file, 'utf8').catch(fileTrouble)
  const restored = await restoreKeys(content, await readPassword('the passphrase', options))
  await restored.writeInto(keyStore(config()))
  print.list(
    restored.names.map(name => ({ name })),
    ['name']
  )
}
