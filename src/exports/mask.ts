import { hkdfSync } from 'node:crypto'
import type { Masking, MaskRule, SnapshotTable } from '../engines/snapshot.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { KeyStore } from '../secrets/keystore.js'

/** A template's rules, by `table.column` or `schema.table.column`. */
export type MaskRules = Readonly<Record<string, MaskRule>>

const HOW: Record<MaskRule, string> = {
  drop: 'the column is left out',
  redact: 'each value but NULL is replaced by [redacted]',
  hash: 'each value but NULL is replaced by the HMAC-SHA-256 of its text in hex, with a key of the tenant’s own'
}

/** The rules of one export, table by table. */
export class Masks {
  readonly #rules: MaskRules
  readonly #hashKey: Buffer

  constructor(rules: MaskRules, hashKey: Buffer) {
    this.#rules = rules
    this.#hashKey = hashKey
  }

  /** The key is derived from the tenant's: the same value has the same hash in all exports of a tenant, and in no other's. */
  static async of(rules: MaskRules, keys: KeyStore, tenantId: string): Promise<Masks> {
    if (Object.keys(rules).length === 0) return new Masks({}, Buffer.alloc(0))
    const key = await keys.ensure(`tenant/${tenantId}`)
    return new Masks(rules, Buffer.from(hkdfSync('sha256', key, '', 'saasctl export mask v1', 32)))
  }

  for(table: SnapshotTable): Masking {
    const found: Array<[string, MaskRule]> = []
    for (const { name } of table.columns) {
      const rule = this.#ruleOf(table, name)
      if (rule) found.push([name, rule])
    }
    return { rules: Object.fromEntries(found), hashKey: this.#hashKey }
  }

  /** What was hidden, for the attestation. A rule that fits no column would be a promise not kept: INVALID_INPUT. */
  redactions(tables: readonly SnapshotTable[]): Array<{ column: string; rule: MaskRule; how: string }> {
    const left = new Set(Object.keys(this.#rules))
    for (const table of tables)
      for (const { name } of table.columns) for (const key of keysOf(table, name)) left.delete(key)
    const [odd] = left
    if (odd !== undefined) {
      throw new SaasctlError('INVALID_INPUT', `The template masks ${quoteInput(odd)}, and there is no such column.`, {
        hint: 'Write it as "table.column" or "schema.table.column" in template.json under export.mask.'
      })
    }
    return Object.entries(this.#rules).map(([column, rule]) => ({ column, rule, how: HOW[rule] }))
  }

  #ruleOf(table: SnapshotTable, column: string): MaskRule | undefined {
    for (const key of keysOf(table, column)) if (Object.hasOwn(this.#rules, key)) return this.#rules[key]
    return undefined
  }
}

function keysOf({ space, name }: SnapshotTable, column: string): string[] {
  const short = `${name}.${column}`
  if (space === null) return [short]
  return space === 'public' ? [`${space}.${short}`, short] : [`${space}.${short}`]
}
