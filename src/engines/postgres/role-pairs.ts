import { id, literal } from './quote.js'

export interface RolePair {
  old: string
  new: string
}

/** The pairs as a table: OID and quoted name of the old role, quoted name of the new. */
export function pairTable(pairs: RolePair[]): string {
  const rows = pairs.map(pair => {
    const old = literal(id(pair.old))
    return `(pg_catalog.to_regrole(${old})::oid, ${old}, ${literal(id(pair.new))})`
  })
  return `(VALUES ${rows.join(', ')}) AS pair (old, old_name, new_name)`
}
