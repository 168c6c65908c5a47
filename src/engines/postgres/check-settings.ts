import type { Finding } from '../engine.js'
import { ok, warning } from './findings.js'
import type { Session } from './session.js'

/** The first minor of each major without a known hole that a tenant could use (CVE-2026-18408). */
const PATCHED: Readonly<Record<number, number>> = { 15: 19, 16: 15, 17: 11, 18: 6 }
const NEWEST_TESTED = 18

/** A setting, the value that is safe, and why; the fix is always ALTER SYSTEM and a reload or restart. */
const settings: ReadonlyArray<{
  name: string
  good: (value: string) => boolean
  set: string
  why: string
  restart?: true
}> = [
  {
    name: 'password_encryption',
    good: value => value === 'scram-sha-256',
    set: 'scram-sha-256',
    why: 'a login that changes its own password would store it as MD5'
  },
  {
    name: 'max_prepared_transactions',
    good: value => value === '0',
    set: '0',
    why: 'one tenant’s forgotten prepared transaction stops cleaning up on the whole server',
    restart: true
  },
  {
    name: 'recovery_init_sync_method',
    good: value => value === 'syncfs',
    set: 'syncfs',
    why: 'with thousands of databases, a start after a crash takes minutes instead of a second'
  },
  { name: 'fsync', good: value => value === 'on', set: 'on', why: 'a power cut loses databases' },
  { name: 'full_page_writes', good: value => value === 'on', set: 'on', why: 'a power cut can tear pages' }
]

export async function checkSettings(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ name: string; value: string }>(
    // What this system cannot be set to is not advised: syncfs is Linux's.
    `SELECT name, current_setting(name) AS value FROM pg_settings
     WHERE name = ANY ($1) AND (name <> 'recovery_init_sync_method' OR 'syncfs' = ANY (enumvals))`,
    [settings.map(({ name }) => name)]
  )
  const values = new Map(rows.map(({ name, value }) => [name, value]))
  const found = settings.flatMap(({ name, good, set, why, restart }) => {
    const value = values.get(name)
    if (value === undefined) return []
    const code = `setting.${name}`
    if (good(value)) return ok(code, `${name} is ${value}.`)
    const after = restart ? ' and restart the server' : ' SELECT pg_reload_conf();'
    return warning(code, `${name} is ${value}: ${why}.`, `ALTER SYSTEM SET ${name} = '${set}';${after}`)
  })
  return [version(session), ...found]
}

function version({ version, major }: Session): Finding {
  const minor = Number(version.split('.')[1] ?? 0)
  const floor = PATCHED[major]
  if (major > NEWEST_TESTED) {
    return warning('server.version', `PostgreSQL ${version} is newer than what was tested (${NEWEST_TESTED}).`)
  }
  if (floor !== undefined && minor < floor) {
    return warning(
      'server.version',
      `PostgreSQL ${version} has known holes (CVE-2026-18408 among them) that a tenant’s objects could use.`,
      `Update the server to ${major}.${floor} or newer and restart it.`
    )
  }
  return ok('server.version', `PostgreSQL ${version} has the fixes that are known to matter here.`)
}
