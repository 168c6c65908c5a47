import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { loadConfig, packageFolder } from '../../src/config.js'
import { embedded } from '../../src/embedded/embedded.js'
import { open } from '../../src/saasctl.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { eventually } from '../support/eventually.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'

const shell = promisify(execFile)

/** `npm run example` in a folder of its own, on a port that the system chooses. */
interface Example {
  stdout(): string
  /** Until it has told everything, or has ended. */
  told: Promise<unknown>
  ended: Promise<{ code: number | null; stderr: string }>
  /** To it and all that it has started, as a terminal does for Ctrl-C. */
  signal(name: NodeJS.Signals): void
  /** Whether any process of its group is left. */
  alive(): boolean
}

if (!(await skipWithoutPostgres(t))) {
  const home = await mkdtemp(join(scratch, 'saasctl-example.'))
  const env = { PATH: process.env['PATH'] ?? '', SAASCTL_HOME: home }
  t.teardown(async () => {
    await embedded(home, { path: env.PATH }).reset()
    await rm(home, { recursive: true, force: true })
  })

  const start = (more: Record<string, string> = {}): Example => {
    const child = spawn(process.execPath, [join(packageFolder, 'scripts', 'example.mjs')], {
      cwd: home,
      env: { ...env, PORT: '0', ...more },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const group = -(child.pid ?? 0)
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', text => (stderr += text))
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }))
    const alive = () => {
      try {
        return process.kill(group, 0)
      } catch {
        return false
      }
    }
    const signal = (name: NodeJS.Signals) => {
      if (alive()) process.kill(group, name)
    }
    t.teardown(() => signal('SIGKILL'))
    const told = Promise.race([
      ended,
      eventually(
        async () => stdout,
        text => text.includes('Ctrl-C ends')
      )
    ])
    return { stdout: () => stdout, told, ended, signal, alive }
  }

  await t.test('what is no port, or is taken, is told in one sentence before anything is made', async t => {
    const other = createServer().listen(0, '127.0.0.1')
    t.teardown(() => other.close())
    await once(other, 'listening')
    const taken = (other.address() as AddressInfo).port
    for (const [PORT, sentence] of [
      ['abc', 'PORT is "abc", which is no port.'],
      ['-1', 'PORT is "-1", which is no port.'],
      ['65536', 'PORT is "65536", which is no port.'],
      ['3000 ', 'PORT is "3000 ", which is no port.'],
      [String(taken), `Port ${taken} is taken.`]
    ] as const) {
      const { code, stderr } = await start({ PORT }).ended
      t.equal(code, 2, PORT)
      t.match(stderr.split('\n'), [`error: ${sentence}`, /^→ Give .*\.$/, ''], PORT)
    }
    const { code, stderr } = await start({ NODE_ENV: 'production' }).ended
    t.equal(code, 2)
    t.match(stderr, /^error: The embedded server is not for production.*\n→ .*\n$/)
    t.strictSame(await readdir(home), [])
  })

  for (const time of ['first', 'second']) {
    await t.test(`every curl line gives what it says, told for the ${time} time`, async t => {
      const example = start()
      await example.told
      const said = example.stdout()
      const tokens = said.match(/^(?:ALDER|BIRCH)='Authorization: Bearer [\w.-]+'$/gm) ?? []
      const lines = [...said.matchAll(/^# (\d{3}): (.*)\n(curl .*)$/gm)]
      t.equal(tokens.length, 2, said)
      t.equal(lines.length, said.match(/^curl /gm)?.length)
      t.ok(lines.length >= 8)
      for (const [, status, says, line] of lines) {
        const { stdout } = await shell('sh', ['-c', [...tokens, line].join('\n')])
        t.match(stdout, new RegExp(`^HTTP/1\\.1 ${status} `), `${says}: ${line}`)
      }
      t.ok(
        lines.some(([, status, , line = '']) => status === '404' && /ALDER.*Host: birch/.test(line)),
        'a crossing'
      )

      example.signal('SIGINT')
      t.match(await example.ended, { code: 0, stderr: '' })
      t.match(example.stdout(), /The product has ended\./)
      t.notOk(example.alive(), 'no process is left')

      // The database server goes on, as after `npm start`; and what was done to a tenant meanwhile does not end the telling.
      const saasctl = await open(loadConfig({ cwd: home, env }))
      t.teardown(() => saasctl.close())
      t.equal((await suspendTenant(saasctl, 'birch', { wait: true })).tenant.status, 'suspended')
    })
  }
}
