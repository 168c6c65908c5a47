import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { SnapshotColumn, SnapshotTable, TableRows } from './snapshot.js'

/** Refuses rows for another schema than the one that is there, with the first difference. */
export function checkSameTables(there: readonly SnapshotTable[], given: readonly TableRows[]): void {
  const mine = new Map(there.map(table => [placeOf(table), describe(table.columns)]))
  for (const { table, columns } of given) {
    const place = placeOf(table)
    const known = mine.get(place)
    if (known === undefined) throw differs(`It has no table ${shown(table)}`)
    const wanted = describe(columns)
    const odd = [...wanted.filter(line => !known.includes(line)), ...known.filter(line => !wanted.includes(line))][0]
    if (odd !== undefined) throw differs(`Table ${shown(table)} differs in column ${odd}`)
    mine.delete(place)
  }
  const [extra] = mine.keys()
  if (extra !== undefined) throw differs(`It has a table ${extra} that the export has not`)
}

const placeOf = ({ space, name }: { space: string | null; name: string }) => JSON.stringify([space, name])
const shown = ({ space, name }: { space: string | null; name: string }) =>
  quoteInput(space === null ? name : `${space}.${name}`)

function describe(columns: readonly SnapshotColumn[]): string[] {
  return columns.filter(({ generated }) => !generated).map(({ name, type }) => `${quoteInput(name)} ${type}`)
}

function differs(what: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `The schema is not the one that was exported. ${what}.`, {
    hint: 'Import into a template whose migrations end where those of the export did.'
  })
}
