import { findReference } from '../catalog/schemas.js'
import type { ServerRow } from '../catalog/servers.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import type { Difference, MigrationFile, OwnerSession, SchemaFact } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Tools } from '../operations/kind.js'
import { compareFacts, tellDifference } from './compare.js'
import { keyOf } from './reference.js'

/** Which of the template's migrations made a schema that was there before us. */
export interface Baseline {
  files: MigrationFile[]
  checksum: string
}

export interface BaselineWish {
  files: MigrationFile[]
  server: ServerRow
  /** The last migration that is in it, `none`, or null to find out. */
  asked: string | null
}

const SHOWN = 10

/**
 * Finds the migration that a foreign schema stands at: the one that was asked for, else what its own ledger says, else the
 * newest that makes just this schema; and sees that it is what the migrations up to there make. CHECK_FOUND has every
 * difference in its data. The references must be there.
 */
export async function findBaseline(
  { catalog }: Pick<Tools, 'catalog'>,
  inside: OwnerSession,
  { files, server, asked }: BaselineWish
): Promise<Baseline> {
  const facts = (await inside.facts()).filter(fact => !ofLedger(fact))
  const ledger = (await inside.foreignLedger())?.map(({ name }) => name) ?? null
  const named = asked === null ? null : firstFiles(files, asked)
  const said = ledger && ledgerFiles(files, ledger)
  if (named && said && named.length !== said.length) {
    throw new SaasctlError(
      'MIGRATION_CHANGED',
      `Its own ledger ends at ${said.at(-1)?.name ?? 'nothing'}, not ${asked}.`,
      {
        hint: 'Leave --baseline away, and the ledger decides.'
      }
    )
  }
  const differences = async (first: MigrationFile[]): Promise<Difference[]> => {
    const reference = await findReference(catalog, keyOf(server, migrationsChecksum(first, files)))
    if (!reference) throw new SaasctlError('FAILED', 'The schema to compare with was not read.')
    return compareFacts(reference.facts, facts)
  }
  const certain = named ?? said
  const candidates = certain ? [certain] : files.map((_, index) => files.slice(0, files.length - index))
  let nearest: Difference[] | undefined
  for (const first of candidates) {
    const found = await differences(first)
    if (found.length === 0) return { files: first, checksum: migrationsChecksum(first, files) }
    if (!nearest || found.length < nearest.length) nearest = found
  }
  throw notThere(nearest ?? [], certain)
}

/** `none` is before the first. */
export function firstFiles(files: MigrationFile[], name: string): MigrationFile[] {
  if (name === 'none') return []
  const index = files.findIndex(file => file.name === name)
  if (index >= 0) return files.slice(0, index + 1)
  throw new SaasctlError('MIGRATION_NOT_FOUND', `There is no migration ${quoteInput(name)} to be the baseline.`, {
    hint: `The newest is ${files.at(-1)?.name ?? 'none: the folder is empty'}; "none" is before the first.`
  })
}

function ledgerFiles(files: MigrationFile[], names: string[]): MigrationFile[] {
  const stranger = names.find((name, index) => files[index]?.name !== name)
  if (stranger === undefined) return files.slice(0, names.length)
  throw new SaasctlError(
    'MIGRATION_CHANGED',
    `Its own ledger has ${quoteInput(stranger)}, which the template’s files do not have at that place.`,
    { hint: 'Give the template the files that made this database, in their order.' }
  )
}

/** The ledger itself is no part of the schema: it goes where ours is. */
const ofLedger = ({ name }: SchemaFact) => /^public\.pgmigrations(?:\b|_)/.test(name)

function notThere(differences: Difference[], certain: MigrationFile[] | null): SaasctlError {
  const at = certain
    ? `It differs from what the migrations up to ${certain.at(-1)?.name ?? 'nothing'} make`
    : 'No migration makes just this schema; the nearest differs'
  const lines = differences.slice(0, SHOWN).map(tellDifference).join('; ')
  const more = differences.length > SHOWN ? `; and ${differences.length - SHOWN} more` : ''
  return new SaasctlError('CHECK_FOUND', `${at}: ${lines}${more}.`, {
    hint: certain
      ? 'Mend the schema or the migrations, or name another baseline.'
      : 'Write a first migration that makes this schema, or name the one it stands at with --baseline.',
    data: { differences }
  })
}
