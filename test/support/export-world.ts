import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { gather } from '../../src/databases/work.js'
import type { Credentials, EngineName, LoginRole } from '../../src/engines/engine.js'
import { createExport, type ExportWish, mustFindExport } from '../../src/exports/create.js'
import { importExport } from '../../src/exports/import.js'
import type { Saasctl } from '../../src/saasctl.js'
import { signingKeys } from '../../src/secrets/signing.js'
import { addServer } from '../../src/servers/add.js'
import { createTenant } from '../../src/tenants/create.js'
import { type ControlPlane, controlPlane } from './control-plane.js'
import { mysqlBinaries, mysqlControlLogin, startMariadb } from './mariadb-server.js'
import { oddTables } from './odd-tables.js'
import { scratch } from './servers.js'
import { type TinyTemplate, tinyTemplate } from './tiny-template.js'

/** A control plane whose tenants have one of everything that an export can lose. */
export interface ExportWorld {
  plane: ControlPlane
  saasctl: Saasctl
  template: TinyTemplate
  folder: string
  /** A file with the public key that signs. */
  key: string
  tenant(slug: string): Promise<void>
  /** Runs SQL inside a tenant's database as one of its logins, and gives the rows of the last statement. */
  inside(slug: string, sql: string, role?: LoginRole): Promise<Array<Record<string, unknown>>>
  make(slug: string, out: string | null, more?: Partial<ExportWish>): Promise<{ id: string; file: string }>
  bringBack(file: string, slug: string): Promise<unknown>
  close(): Promise<void>
}

/** Undefined when the engine is not on this machine. */
export async function exportWorld(engine: EngineName): Promise<ExportWorld | undefined> {
  if (engine === 'mysql' && (await mysqlBinaries()).length === 0) return undefined
  const template = await tinyTemplate([engine])
  const [up = '', ...others] = oddTables(engine)
  await template.grow({ up: migrationOf(up, others), down: '' })
  const plane = await controlPlane({ env: template.env, addServer: engine === 'postgres' })
  const folder = await mkdtemp(join(scratch, 'saasctl-exports.'))
  const maria = engine === 'mysql' ? await startMariadb() : undefined
  const { saasctl } = plane
  if (maria) {
    const { host, port } = maria
    await addServer(saasctl, { name: 'maria', engine: 'mysql', host, port, ...(await mysqlControlLogin(maria)) })
  }
  const key = join(folder, 'audit.pem')
  return {
    plane,
    saasctl,
    template,
    folder,
    key,
    tenant: async slug => {
      await createTenant(saasctl, { slug }, { template: 'tiny' }, { wait: true })
    },
    inside: (slug, sql, role = 'app_a') => inside(saasctl, slug, sql, role),
    make: async (slug, out, more = {}) => {
      const container = out?.includes('.zip') ? 'zip' : out === null || out.includes('.tar.gz') ? 'tar.gz' : 'folder'
      const target = out === null ? null : pathToFileURL(join(folder, out)).href
      const wish = { container, target, masked: false, certificate: null, reason: 'a test', ...more } as const
      const { id } = await createExport(saasctl, slug, { formats: ['jsonl', 'csv'], ...wish }, { wait: true })
      const { target: there, store, object } = await mustFindExport(saasctl, id)
      const [first] = await signingKeys(saasctl.keys)
      await writeFile(key, first?.publicKey ?? '')
      return { id, file: there === null ? join(fileURLToPath(store ?? ''), object ?? '') : fileURLToPath(there) }
    },
    bringBack: (file, slug) =>
      importExport(saasctl, { file, slug }, (wish, filling) =>
        createTenant(saasctl, wish, wish, { wait: true }, filling)
      ),
    close: async () => {
      await plane.close()
      await maria?.stop()
      await template.remove()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Statements of a migration end where lines do; those around triggers and functions stand between marks. */
function migrationOf(first: string, others: string[]): string {
  return [first, ...others].map(sql => `-- statement\n${sql.trim().replace(/;$/, '')};\n-- statement`).join('\n')
}

async function inside(saasctl: Saasctl, slug: string, sql: string, role: LoginRole) {
  const [row] = await saasctl.catalog.query<{ id: string }>(
    `select p.database_id as id from saasctl.placement p join saasctl.tenant t on t.id = p.tenant_id where t.slug = $1`,
    [slug]
  )
  const { server, names, logins } = await gather(saasctl, row?.id ?? '')
  const as: Credentials = await logins.credentials(role)
  const place = {
    host: server.host,
    port: server.port,
    user: as.login,
    password: as.password.reveal(),
    database: names.database
  }
  if (server.engine === 'mysql') {
    const connection = await mysql.createConnection({ ...place, charset: 'utf8mb4' })
    try {
      return (await connection.query(sql))[0] as Array<Record<string, unknown>>
    } finally {
      connection.destroy()
    }
  }
  const client = new pg.Client(place)
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows ?? []
  } finally {
    await client.end()
  }
}

/** Runs a line of a shell as an auditor would type it. */
export async function shell(line: string, cwd: string): Promise<{ code: number; said: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-c', line], { cwd })
    return { code: 0, said: stdout + stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, said: stdout + stderr }
  }
}
