import type { MigrationFile, OwnerSession } from '../engines/engine.js'
import { asSaasctlError } from '../errors.js'
import type { Seed } from '../templates/files.js'
import type { FileFinding } from './finding.js'

/** What is run on the empty database, and where to say how far it is. */
export interface Trip {
  files: readonly MigrationFile[]
  seeds: readonly Seed[]
  progress: (sentence: string) => void
}

/**
 * Up, seed, down, up, seed again, and after each file down the schema must be what it was before it went up. Stops at
 * the first file that fails; what says nothing about the files, such as a lost connection, is thrown.
 */
export async function roundTrip(inside: OwnerSession, trip: Trip): Promise<FileFinding[]> {
  const found: FileFinding[] = []
  const report = (code: string, file: string, message: string, fix: string) =>
    found.push({ level: 'error', code, message, fix, file })
  let at = { code: '', file: '' }
  const apply = async (file: MigrationFile, direction: 'up' | 'down', code: string, after: string | null) => {
    at = { code, file: `${file.name}.sql` }
    trip.progress(direction === 'up' ? `applies ${file.name}` : `undoes ${file.name}`)
    await inside.apply(file, direction, after)
  }
  const seed = async () => {
    for (const { file, sql } of trip.seeds) {
      at = { code: 'seed', file }
      trip.progress(`seeds ${file}`)
      await inside.run(sql)
    }
  }
  const { files } = trip
  const before: string[] = []
  try {
    for (const [index, file] of files.entries()) {
      before.push(await inside.fingerprint())
      await apply(file, 'up', 'up', files[index - 1]?.name ?? null)
    }
    const first = await inside.fingerprint()
    await seed()
    // A seed may run again after a crash.
    await seed()
    let kept = files.length
    for (let file = files[kept - 1]; file && file.down !== null; file = files[kept - 1]) {
      await apply(file, 'down', 'down', file.name)
      kept -= 1
      if ((await inside.fingerprint()) !== before[kept] && found.length === 0) {
        const message = 'Its down part leaves another schema than there was before its up part.'
        report(
          'down.differs',
          `${file.name}.sql`,
          message,
          'Take back everything that the up part makes, and nothing else.'
        )
      }
    }
    for (const [index, file] of files.entries()) {
      if (index >= kept) await apply(file, 'up', 'up.again', files[index - 1]?.name ?? null)
    }
    if ((await inside.fingerprint()) !== first && found.length === 0) {
      const last = `${files.at(-1)?.name}.sql`
      report(
        'up.differs',
        last,
        'Up, down and up again ends in another schema than up alone.',
        'Compare the down parts.'
      )
    }
    await seed()
  } catch (thrown) {
    const { code, message, hint, retryable } = asSaasctlError(thrown)
    if (retryable || code !== 'MIGRATION_FAILED') throw thrown
    report(at.code, at.file, message, hint ?? 'Mend the file.')
  }
  return found
}
