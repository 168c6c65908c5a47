import type { Actor } from './audit.js'
import type { Catalog } from './catalog.js'

/**
 * Declares a restored catalog the present one: a new incarnation, which every fence and router sees, and no operation of
 * the past goes on by itself. Gives the incarnations before and after.
 */
export async function adoptCatalog(catalog: Catalog, actor: Actor): Promise<{ before: string; after: string }> {
  return catalog.transaction(actor, async tx => {
    const [row] = await tx.query<{ before: string; after: string }>(
      `with old as (select incarnation from saasctl.instance for update)
       update saasctl.instance i set incarnation = gen_random_uuid(), adopted_at = now() from old
       returning old.incarnation as before, i.incarnation as after`
    )
    if (!row) throw new Error('the catalog’s own row is there: opening has read it')
    await tx.query('update saasctl.tenant set revision = revision + 1 where status not in ($1, $2)', [
      'purged',
      'failed'
    ])
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
