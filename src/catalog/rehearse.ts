import type { Actor } from './audit.js'
import type { Catalog, Transaction } from './catalog.js'

/**
 * Runs `work` on a catalog in which what it changes stands, and then takes all of it back: what the work would be refused,
 * it is refused here, with the same words. It may do nothing outside of the catalog.
 */
export async function rehearse<T>(catalog: Catalog, actor: Actor, work: (catalog: Catalog) => Promise<T>): Promise<T> {
  const ended = new Ended<T>()
  try {
    return await catalog.transaction(actor, async tx => {
      ended.result = [await work(inside(catalog, tx))]
      throw ended
    })
  } catch (error) {
    const [result] = ended.result
    if (error !== ended || result === undefined) throw error
    return result
  }
}

class Ended<T> extends Error {
  result: T[] = []
}

/** Transactions in it are part of the one that is open. */
function inside(catalog: Catalog, tx: Transaction): Catalog {
  const transaction: Catalog['transaction'] = (_actor, work) => work(tx)
  return Object.assign(Object.create(catalog) as Catalog, { query: tx.query, transaction })
}
