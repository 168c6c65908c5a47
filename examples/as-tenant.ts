import pg from 'pg'
import { gather } from '../src/databases/work.js'
import { findTenant, type Saasctl, SaasctlError, tenantDsn } from '../src/index.js'

/** Runs something in a tenant's database as its application would: with the app login, over TCP. */
export async function asTenant<T>(saasctl: Saasctl, slug: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(await tenantDsn(saasctl, slug, { readOnly: false, reveal: true, reason: 'the story' }), work)
}

/** The same as its owner, whose login no application ever has. */
export async function asOwner<T>(saasctl: Saasctl, slug: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { databaseId } = await findTenant(saasctl.catalog, slug)
  const { engine, server, names, logins } = await gather(saasctl, databaseId ?? '')
  const { login, password } = await logins.credentials('owner')
  return withClient(engine.dsn(server, names.database, login, password.reveal()), work)
}

/** What the server says to somebody who must not come in; an error when it lets them in. */
export async function refusal(dsn: string): Promise<string> {
  try {
    await withClient(dsn, client => client.query('select'))
  } catch (error) {
    return (error as Error).message
  }
  throw new SaasctlError('ISOLATION_BROKEN', 'The server let a login in that it had to refuse.')
}

export async function withClient<T>(dsn: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: dsn })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
