import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { SaasctlError } from '../errors.js'
import { catalogError } from './errors.js'
import { migrationsFolder } from './instance.js'

/** The roles that catalog-migrations make. They belong to the whole server: its catalogs share them. */
const catalogGroups = ['saasctl_control', 'saasctl_router', 'saasctl_auditor', 'saasctl_audit']

/**
 * Brings the catalog to this program's version: our schema by node-pg-migrate, graphile-worker's by its own migrations.
 * Both may be repeated; two at once wait for each other. `url` is the owner of the database, a login with CREATEROLE.
 * `upTo` stops at an older version, for what is restored into it. Returns the names of the migrations that were applied.
 */
export async function migrateCatalog(url: string, upTo?: number): Promise<string[]> {
  const [{ default: postgres }, { runner }, { runMigrations }] = await Promise.all([
    import('pg'),
    import('node-pg-migrate'),
    import('graphile-worker')
  ])
  const client = new postgres.Client({ connectionString: url, application_name: 'saasctl catalog migrate' })
  client.on('error', () => {})
  try {
    await client.connect()
    // The runner's own lock ends before the queue is migrated, and grants made twice at once fail. Ours ends with the session.
    await client.query(`select pg_advisory_lock(hashtextextended('saasctl catalog migrate', 0))`)
    const applied = await runner({
      dbClient: client,
      dir: fileURLToPath(migrationsFolder),
      direction: 'up',
      migrationsTable: 'pgmigrations',
      migrationsSchema: 'saasctl',
      createMigrationsSchema: true,
      singleTransaction: true,
      advisoryLockMode: 'wait',
      log: () => {},
      ...(upTo !== undefined && { count: Math.max(upTo - (await appliedSoFar(client)), 0) })
    })
    await allowReadingMigrations(client)
    await migrateQueue(client, url, runMigrations)
    return applied.map(({ name }) => name)
  } catch (error) {
    throw migrateError(error, new URL(url).username)
  } finally {
    await client.end().catch(() => {})
  }
}

async function appliedSoFar(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('saasctl.pgmigrations') is not null as there`
  )
  if (!rows[0]?.there) return 0
  return (await client.query('select from saasctl.pgmigrations')).rowCount ?? 0
}

async function allowReadingMigrations(client: pg.Client): Promise<void> {
  await client.query('grant select on saasctl.pgmigrations to saasctl_control')
}

/** The queue belongs to the control group, which workers log in as; it may create its schema only while this runs. */
async function migrateQueue(
  client: pg.Client,
  url: string,
  runMigrations: (options: { pgPool: pg.Pool }) => Promise<void>
): Promise<void> {
  const { default: postgres } = await import('pg')
  const { rows } = await client.query<{ database: string }>('select current_database() as database')
  const database = postgres.escapeIdentifier(rows[0]?.database ?? '')
  await client.query('grant saasctl_control to current_user')
  await client.query(`grant create on database ${database} to saasctl_control`)
  const pool = new postgres.Pool({ connectionString: url, max: 2, options: '-c role=saasctl_control' })
  pool.on('error', () => {})
  pool.on('connect', session => session.on('error', () => {}))
  try {
    await runMigrations({ pgPool: pool })
  } finally {
    await pool.end()
    await client.query(`revoke create on database ${database} from saasctl_control`)
  }
}

function migrateError(error: unknown, login: string): SaasctlError {
  const { code, message, detail } = error as { code?: string; message?: string; detail?: string }
  // Since PostgreSQL 16 only who made a role may grant it.
  if (code === '42501' && /ADMIN option/.test(detail ?? '')) {
    return new SaasctlError(
      'CATALOG_DENIED',
      'The roles of catalogs belong to the owner of another catalog on this server.',
      {
        hint: `Migrate as that owner; or, as a superuser: GRANT ${catalogGroups.join(', ')} TO ${login} WITH ADMIN OPTION;`,
        cause: error
      }
    )
  }
  if (code === '42501') {
    return new SaasctlError('CATALOG_DENIED', 'The login may not migrate the catalog.', {
      hint: 'Use the owner of the catalog database, a login with CREATEROLE: set SAASCTL_CATALOG_ADMIN_URL for this command.',
      cause: error
    })
  }
  const known = catalogError(error)
  if (known.code !== 'FAILED') return known
  return new SaasctlError(
    'CATALOG_UNMIGRATED',
    `The catalog could not be migrated: ${message ?? 'no reason was given'}`,
    {
      hint: 'Nothing of this version was kept; correct the cause and run "saasctl catalog migrate" again.',
      cause: error
    }
  )
}
