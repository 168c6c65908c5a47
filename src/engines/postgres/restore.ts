import type { Readable } from 'node:stream'
import { SaasctlError } from '../../errors.js'
import type { Played, RestoreOptions } from '../dump.js'
import type { DatabaseNames } from '../engine.js'
import { playArchive } from './archive/play.js'
import { CUSTOM } from './format.js'
import type { Session } from './session.js'

/**
 * Plays a dump inside its database, whole or not at all. Not by pg_restore: here the roles that it names become those of
 * this database, it runs with one session whose name says whose it is, and it needs no program that fits both the
 * archive and the server. An abort ends the
 * session. `lend` lets the owner have what the app owns, where the dump has something of it.
 */
export async function restore(
  session: Session,
  names: DatabaseNames,
  stream: Readable,
  { format, signal }: RestoreOptions,
  lend: () => Promise<void>
): Promise<Played> {
  if (format !== CUSTOM) {
    throw new SaasctlError('INVALID_INPUT', `A dump in the format "${format}" cannot be restored to PostgreSQL.`, {
      hint: 'Restore it on a server of the kind that it was made on, with the version of saasctl that made it.'
    })
  }
  signal.throwIfAborted()
  const abort = () => session.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await playArchive(session, names, stream, lend)
  } finally {
    signal.removeEventListener('abort', abort)
    stream.destroy()
  }
}
