import { rm } from 'node:fs/promises'
import { removePlace } from './make-place.js'
import { mysqlDataOf } from './mysql.js'
import { stopMysql } from './mysql-server.js'
import { dataDirOf, findPlace } from './place.js'
import { stopPostmaster } from './postmaster.js'
import { readRecord } from './record.js'

/** Returns when the server is gone; false when it was not running. */
export async function stop(home: string): Promise<boolean> {
  const place = await findPlace(home)
  if (place === undefined) return false
  await stopMysql(mysqlDataOf(place))
  const stopped = await stopPostmaster(dataDirOf(place))
  const record = await readRecord(place)
  if (record?.socketDir && !record.socketDir.startsWith(place)) {
    await rm(record.socketDir, { recursive: true, force: true })
  }
  return stopped
}

/** Stops the server and deletes all its databases. A second time is OK. */
export async function reset(home: string): Promise<void> {
  await stop(home)
  await removePlace(home)
}
