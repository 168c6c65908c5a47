import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'

/** What a running server wrote into `postmaster.pid`: the truth about its port and socket. */
export interface Postmaster {
  pid: number
  port: number
  socketDir: string
}

export interface PidFile extends Postmaster {
  status: string
}

/** Lines of `postmaster.pid`: pid, data folder, start time, port, socket folder, address, shared memory, status. */
export async function readPidFile(dataDir: string): Promise<PidFile | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const [pid, , , port, socketDir, , , status] = text.split('\n')
  if (!pid || !socketDir) return undefined
  return { pid: Number(pid), port: Number(port), socketDir, status: status?.trim() ?? '' }
}

export function socketOf({ socketDir, port }: Postmaster): string {
  return join(socketDir, `.s.PGSQL.${port}`)
}

/**
 * The server that runs on this data folder, or undefined. Asks its socket, not its pid: a pid may belong to a stranger
 * after a reboot, while only the server itself listens in its private folder. About 0.5 ms, no process is started.
 */
export async function findPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const file = await readPidFile(dataDir)
  if (file?.status !== 'ready' || !(await answers(file))) return undefined
  return { pid: file.pid, port: file.port, socketDir: file.socketDir }
}

function answers(postmaster: Postmaster): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(socketOf(postmaster))
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
