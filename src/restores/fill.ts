import type { Readable } from 'node:stream'
import { differencesOf } from '../archives/compare.js'
import type { DatabaseWork } from '../databases/work.js'
import type { Played } from '../engines/dump.js'
import type { OwnerSession } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'

/** What a new database is filled with, and what must be in it afterwards. */
export interface Content {
  /** For messages: `Backup 0192…`, `The dump of acme`. */
  title: string
  format: string
  stream: Readable
  /** Known at the latest when the stream has ended. */
  facts: Promise<{ rows: Record<string, number>; fingerprint: string; migrations?: Array<{ name: string }> }>
}

/** What is known of a database that was filled and found to be what it should. */
export interface Filled {
  migrations: string[]
  fingerprint: string
  bytes: number
}

/**
 * Makes the database anew, plays the content into it as its owner and compares what is there with what was dumped: rows of
 * every table, schema, migrations, identity. BACKUP_DAMAGED names the first difference. A database of an earlier try is
 * dropped first: what a dead process may still write ends with it.
 */
export async function fillAndCompare(
  work: DatabaseWork,
  open: () => Promise<Content>,
  progress: (sentence: string) => void,
  signal: AbortSignal
): Promise<Filled> {
  const { session, names, database, engine, access, tools } = work
  const owner = await work.logins.credentials('owner')
  await session.dropDatabase(names)
  await session.makeDatabase(names)
  await session.guardDatabase(names)
  await session.furnishDatabase({ names, databaseId: database.id, owner })
  const content = await open()
  let played: Played
  try {
    played = await session.restore(names, owner, content.stream, {
      format: content.format,
      signal,
      path: tools.path
    })
  } finally {
    content.stream.destroy()
  }
  for (const note of played.notes) progress(note)
  await session.setLimits(names, database.limits)
  await engine.identify(access, names.database, owner, database.id)
  return await inside(work, owned => compare(owned, content, played))
}

async function compare(owned: OwnerSession, { title, facts }: Content, { rows: taken }: Played): Promise<Filled> {
  const migrations = (await owned.applied()).map(({ name }) => name)
  const restored = { rows: await owned.rows(), taken, fingerprint: await owned.fingerprint(), migrations }
  const dumped = await facts
  const [first, ...others] = differencesOf(
    { ...dumped, migrations: dumped.migrations ?? migrations.map(name => ({ name })) },
    restored
  )
  if (first !== undefined) {
    const more = others.length === 0 ? '' : `, and ${others.length} more differences`
    throw new SaasctlError('BACKUP_DAMAGED', `${title} did not restore to what was dumped: ${first}${more}.`, {
      hint: 'The database made from it was dropped and nothing else was changed. Choose another backup, or try again.'
    })
  }
  return { migrations, fingerprint: restored.fingerprint, bytes: await owned.bytes() }
}

/** Runs an act inside the work's database, as its owner. */
export async function inside<Result>(
  work: DatabaseWork,
  act: (owned: OwnerSession) => Promise<Result>
): Promise<Result> {
  const owned = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    return await act(owned)
  } finally {
    await owned.end()
  }
}
