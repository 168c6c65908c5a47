import { readInstance } from '../catalog/instance.js'
import type { Context } from '../operations/kind.js'
import { type Diagnosis, fine, mendable, warning, wrong } from './finding.js'
import { type Count, catalogLogin, recount, wrongCounts } from './queries/catalog.js'

/** The catalog itself: which one it is, and whether the audit trail's guard binds the login that this program uses. */
export async function checkCatalog({ catalog }: Context): Promise<Diagnosis[]> {
  const [instance, { login, superuser, overAudit }] = await Promise.all([readInstance(catalog), catalogLogin(catalog)])
  const message = `The catalog is at version ${instance.schemaVersion}, incarnation ${instance.incarnation}.`
  const said = [fine('catalog.instance', 'catalog', message)]
  if (instance.restoredAt) {
    const old = 'The catalog was restored from a backup and is not adopted yet: no worker works on it.'
    said.push(wrong('catalog.rewound', 'catalog', old, 'saasctl catalog adopt'))
  }
  if (superuser || overAudit) {
    const what = superuser ? 'a superuser of the catalog’s server' : 'a member of saasctl_audit'
    said.push(
      warning(
        'catalog.login',
        'catalog',
        `The catalog login ${login} is ${what}: it could edit the audit trail.`,
        'Use a login of its own: saasctl catalog credentials create control'
      )
    )
  }
  return said
}

/** Whether each server's number of databases, which placement goes by, is what it holds. */
export async function checkCounts({ catalog }: Context): Promise<Diagnosis[]> {
  return (await wrongCounts(catalog)).map(count => {
    const { server, said, counted } = count
    const message = `Server ${server} is said to hold ${said} databases, but the catalog knows ${counted}.`
    return mendable(warning('server.count', `server:${server}`, message), ({ actor }) =>
      catalog.transaction(actor, async tx => {
        await recount(tx, count.serverId)
        tx.audit(countedAnew(count))
      })
    )
  })
}

function countedAnew({ serverId, said, counted }: Count) {
  return { chain: 'server', action: 'server.recount', subject: `server:${serverId}`, payload: { said, counted } }
}
