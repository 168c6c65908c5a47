import { randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'

/** `cluster/cluster.json` (0600), beside the data folder and made with it: there is never one without the other. */
export interface ClusterRecord {
  version: string
  major: number
  binDir: string
  /** Of the last start; empty and 0 before the first. The running server's own are in its `postmaster.pid`. */
  socketDir: string
  port: number
  passwords: { superuser: string; admin: string; control: string }
}

export async function readRecord(place: string): Promise<ClusterRecord | undefined> {
  const file = join(place, 'cluster', 'cluster.json')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as ClusterRecord
  } catch (cause) {
    throw new SaasctlError('EMBEDDED_FAILED', `The embedded server's record ${file} is damaged.`, {
      hint: 'Bring the file back from a backup; without its passwords nobody gets into the data.',
      cause
    })
  }
}

/** `folder` is the cluster's: `<place>/cluster`, or where it is being made. */
export async function writeRecord(folder: string, record: ClusterRecord): Promise<void> {
  const building = join(folder, `cluster.json.${randomUUID()}`)
  await writeFile(building, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 })
  await rename(building, join(folder, 'cluster.json'))
}
