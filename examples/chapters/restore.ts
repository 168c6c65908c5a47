import {
  backupTenant,
  findTenant,
  restoreTenant,
  type Saasctl,
  showBackup,
  undoRestore,
  verifyBackup
} from '../../src/index.js'
import { asTenant } from '../as-tenant.js'
import type { Narrator } from '../narrator.js'

const wait = { wait: true }
const number = (value: number) => value.toLocaleString('en')

/** A backup that is proven, a tenant that damages its own data, the way back, and the way back from that. */
export async function restoreChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<void> {
  chapter('acme ruins its own data, and gets it back')
  const { backupId } = await tell(
    () => backupTenant(saasctl, 'acme', wait),
    'acme is backed up: dumped as its owner, sealed with a key of its own, and put into the store.'
  )
  const { manifest, bytes } = await showBackup(saasctl, backupId)
  const rows = Object.values(manifest?.rows ?? {}).reduce((sum, count) => sum + count, 0)
  await tell(
    () => verifyBackup(saasctl, backupId, wait),
    `It is restored to a scratch database and compared: ${Object.keys(manifest?.rows ?? {}).length} tables, ${number(rows)} rows, from ${number(Math.ceil((bytes ?? 0) / 1024))} kB.`
  )

  const victim = await victimOf(saasctl)
  const before = await count(saasctl, victim)
  await tell(
    () => asTenant(saasctl, 'acme', client => client.query(`delete from ${victim}`)),
    `A faulty job of acme’s deletes all ${number(before)} rows of ${victim}.`
  )
  await tell(
    () => restoreTenant(saasctl, 'acme', { backup: backupId }, wait),
    ({ tenant }) =>
      `The backup is restored beside, compared, and takes its place: acme is in database ${tenant.database}.`
  )
  say(`Its application counts ${number(await mustBe(saasctl, victim, before))} rows of ${victim} again.`)
  await tell(
    () => undoRestore(saasctl, 'acme', { discardWrites: false }, wait),
    'The restore is taken back, in case it was the wrong one: the database of before was kept.'
  )
  say(`There ${victim} has ${number(await mustBe(saasctl, victim, 0))} rows, as the job had left it.`)
  await tell(() => undoRestore(saasctl, 'acme', { discardWrites: false }, wait), 'And that is taken back, too.')
  const { database } = await findTenant(saasctl.catalog, 'acme')
  say(`acme has its ${number(await mustBe(saasctl, victim, before))} rows, in ${database}.`)
}

/** Sakila's payments where they were loaded, else lines of invoices. */
async function victimOf(saasctl: Saasctl): Promise<string> {
  const { rows } = await asTenant(saasctl, 'acme', client =>
    client.query<{ there: boolean }>(`select to_regclass('payment') is not null as there`)
  )
  return rows[0]?.there ? 'payment' : 'invoice_lines'
}

async function count(saasctl: Saasctl, table: string): Promise<number> {
  const { rows } = await asTenant(saasctl, 'acme', client =>
    client.query<{ n: number }>(`select count(*)::int as n from ${table}`)
  )
  return rows[0]?.n ?? 0
}

async function mustBe(saasctl: Saasctl, table: string, expected: number): Promise<number> {
  const found = await count(saasctl, table)
  if (found === expected) return found
  throw new Error(`Table ${table} has ${found} rows, not ${expected}.`)
}
