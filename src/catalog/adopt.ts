import type { Actor } from './audit.js'
import { forgetUnbound } from './bindings.js'
import type { Catalog, Transaction } from './catalog.js'
import { open } from './operations.js'

/** More takeovers than any operation of the lost catalog can have had after the backup. */
const EPOCH_LEAP = 1_000_000

/**
 * Declares a restored catalog the present one: a new incarnation, which every router sees, and epochs beyond all that the
 * lost catalog may have given out, so that its processes are fenced off. Gives the incarnations before and after. `also` is
 * done in the same transaction: what is known of the time since.
 */
export async function adoptCatalog(
  catalog: Catalog,
  actor: Actor,
  also: (tx: Transaction) => Promise<void> = async () => {}
): Promise<{ before: string; after: string }> {
  return catalog.transaction(actor, async tx => {
    const [row] = await tx.query<{ before: string; after: string }>(
      `with old as (select incarnation from saasctl.instance for update)
       update saasctl.instance i set incarnation = gen_random_uuid(), adopted_at = now(), restored_at = null from old
       returning old.incarnation as before, i.incarnation as after`
    )
    if (!row) throw new Error('the catalog’s own row is there: opening has read it')
    // The clock is past all that the lost catalog has counted: what an application's cache still has must not come back.
    await tx.query(
      `update saasctl.tenant set revision = revision + 1,
         cache_version = greatest(cache_version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)
       where status not in ('purged', 'failed')`
    )
    // What was under way when the backup was made ended somehow since. To go on, or worse to take it back, could undo a
    // tenant that lives; doctor shows what is left of it.
    await tx.query(
      `update saasctl.operation set status = 'cancelled', epoch = epoch + $1, owner = null, lease_until = null, error = $2,
         finished_at = clock_timestamp()
       where status in ${open}`,
      [EPOCH_LEAP, { code: 'CANCELLED', message: 'It was under way when the backup of this catalog was made.' }]
    )
    // A warm database may have been claimed after the backup, and hold a tenant's data by now.
    await tx.query(`update saasctl.database set state = 'retired' where kind = 'tenant' and state = 'ready'`)
    // A restore may have been undone since: what it had replaced is a tenant's own again, or was dropped. It is kept.
    await tx.query('delete from saasctl.replaced_database')
    await forgetUnbound(tx)
    await also(tx)
    tx.audit({ chain: 'catalog', action: 'catalog.adopt', subject: 'catalog', payload: row })
    return row
  })
}

/** Remembers that the keys were backed up; doctor warns until then. */
export async function markKeysBackedUp(catalog: Catalog, actor: Actor): Promise<void> {
  await catalog.transaction(actor, async tx => {
    await tx.query('update saasctl.instance set keys_backed_up_at = now()')
    tx.audit({ chain: 'catalog', action: 'key.backup', subject: 'catalog', payload: {} })
  })
}
