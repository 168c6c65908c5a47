import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { canonical } from '../canonical.js'
import { SaasctlError } from '../errors.js'
import { scramVerifier } from '../scram.js'
import { Secret } from '../secret.js'
import type { Actor } from './audit.js'
import { catalogError } from './errors.js'

export const catalogRoles = ['control', 'router', 'auditor'] as const
export type CatalogRole = (typeof catalogRoles)[number]

/**
 * Makes a new login of the catalog for a program of this kind, with a password that is shown once. `adminUrl` is the owner
 * of the catalog's database. Gives the login's own URL, password included.
 */
export async function createCatalogLogin(
  adminUrl: string,
  role: CatalogRole,
  actor: Actor
): Promise<{ login: string; url: string }> {
  const login = `saasctl_${role}_${randomBytes(5).toString('hex')}`
  const password = randomBytes(24).toString('base64url')
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'saasctl catalog credentials' })
  client.on('error', () => {})
  try {
    await client.connect()
    const verifier = await scramVerifier(new Secret(password))
    await client.query('begin')
    await client.query(
      `create role ${pg.escapeIdentifier(login)} login connection limit 100 password ${pg.escapeLiteral(verifier)}
       in role ${pg.escapeIdentifier(`saasctl_${role}`)}`
    )
    await client.query('select from saasctl.audit_append($1, $2, $3, $4, $5, $6)', [
      'catalog',
      actor.name,
      actor.proof,
      'catalog.credentials',
      `login:${login}`,
      canonical({ role })
    ])
    await client.query('commit')
  } catch (error) {
    if ((error as { code?: string }).code === '42704') {
      throw new SaasctlError('CATALOG_UNMIGRATED', 'The catalog has no schema yet.', {
        hint: 'Run "saasctl catalog migrate".',
        cause: error
      })
    }
    throw catalogError(error)
  } finally {
    await client.end().catch(() => {})
  }
  const url = new URL(adminUrl)
  url.username = login
  url.password = password
  return { login, url: url.href }
}
