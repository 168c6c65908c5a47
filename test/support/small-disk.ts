import { execFile, spawnSync } from 'node:child_process'
import { chown, mkdir, open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type t from 'tap'
import { asSuperuser, type TestServer } from './servers.js'

const run = promisify(execFile)

/** A disk that is soon full, with a server's data on it. */
export interface SmallDisk {
  /** Leaves so many bytes. */
  fill(leave: number): Promise<void>
  /** Gives all the room back. */
  free(): Promise<void>
  /** Takes the disk from under the server, which it ends. */
  remove(): Promise<void>
}

const inside = 'SAASCTL_TEST_OWN_MOUNTS'

/**
 * Runs the test file that asks once more, in a mount namespace of its own: what is mounted there is gone with it, however
 * it ends. True in that second run. Where that is not possible, says so and skips.
 */
export function hasOwnMounts(test: typeof t, url: string): boolean {
  if (process.env[inside]) return true
  const { status } = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt'])
  if (status !== 0) {
    test.comment('NO FULL DISK HERE: mounting one takes root and a kernel that allows it. Nothing below was tested.')
    test.plan(0, 'no small disk can be mounted')
    return false
  }
  const env = { ...process.env, [inside]: 'yes' }
  test.spawn('unshare', ['--mount', process.execPath, fileURLToPath(url)], { env }, 'in a mount namespace of its own')
  return false
}

/** Moves the server's data to a disk of `megabytes`, and starts it there. */
export async function onSmallDisk(server: TestServer, megabytes: number): Promise<SmallDisk> {
  const { dataDir } = server
  const { uid, gid } = await stat(dataDir)
  await end(server)
  const aside = `${dataDir}.aside`
  await run('mv', [dataDir, aside])
  await mkdir(dataDir)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700,uid=${uid},gid=${gid}`, 'tmpfs', dataDir])
  await run('cp', ['-a', `${aside}/.`, dataDir])
  await rm(aside, { recursive: true })
  await chown(dataDir, uid, gid)
  await server.restart()
  const ballast = join(dataDir, 'ballast')
  return {
    fill: async leave => {
      // With a log segment ahead: without, the server stops itself, which is another story.
      await asSuperuser(server, async client => {
        await client.query('select pg_switch_wal()')
        await client.query('checkpoint')
      })
      const { bavail, bsize } = await statfs(dataDir)
      const file = await open(ballast, 'w')
      try {
        await file.write(Buffer.alloc(Math.max(bavail * bsize - leave, 0), 1))
      } finally {
        await file.close()
      }
    },
    free: () => rm(ballast, { force: true }),
    remove: async () => {
      await end(server)
      await run('umount', ['--lazy', dataDir])
    }
  }
}

async function end(server: TestServer): Promise<void> {
  const there = () => stat(join(server.dataDir, 'postmaster.pid')).catch(() => undefined)
  if (await there()) {
    // After a panic there may be a file and no process.
    try {
      server.kill('SIGINT')
    } catch {
      return
    }
  }
  while (await there()) await sleep(10)
}
