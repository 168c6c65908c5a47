import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { type Config, type ConfigInput, duration, loadConfig, packageFolder, settings } from '../src/config.js'
import { SaasctlError } from '../src/errors.js'
import type { Setting } from '../src/settings.js'

const canary = 'correct-horse-battery'

async function project(t: Test, file?: unknown): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'saasctl-config-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  if (file !== undefined)
    await writeFile(join(folder, 'saasctl.json'), typeof file === 'string' ? file : JSON.stringify(file))
  return folder
}

const load = (cwd: string, more: ConfigInput = {}): Config => loadConfig({ cwd, env: {}, ...more })

function refusal(t: Test, act: () => unknown): SaasctlError {
  try {
    act()
  } catch (error) {
    if (error instanceof SaasctlError) {
      t.match({ code: error.code, exit: error.exit }, { code: 'CONFIG_INVALID', exit: 2 })
      t.notMatch(inspect(error, { depth: 9 }), canary, 'no error repeats a secret')
      return error
    }
    throw error
  }
  t.fail('it was accepted')
  throw new Error('it was accepted')
}

t.test('a flag beats the environment, that beats the file, that beats the default, and each says so', async t => {
  const cwd = await project(t, { template: 'from-file', lease: '20s', beat: '2s', deleteGrace: '3d' })
  const env = { SAASCTL_TEMPLATE: 'from-env', SAASCTL_LEASE: '30s', SAASCTL_BEAT: '3s' }
  const config = load(cwd, { env, flags: { template: 'from-flag', lease: '40s' } })
  t.match(config, { template: 'from-flag', lease: 40_000, beat: 3_000, deleteGrace: 3 * 86_400_000, concurrency: 2 })
  t.match(config.sources, {
    template: '--template',
    lease: '--lease',
    beat: 'SAASCTL_BEAT',
    deleteGrace: 'saasctl.json',
    concurrency: 'default'
  })
  t.strictSame(Object.keys(config.sources), Object.keys(settings), 'every setting has a source')
})

t.test('nothing has to be set, and an empty variable is none', async t => {
  const cwd = await project(t)
  const config = load(cwd, { env: { SAASCTL_CATALOG_URL: '', SAASCTL_LEASE: '' } })
  t.match(config, { catalog: null, lease: 15_000, home: join(cwd, '.saasctl'), project: cwd, production: false })
  t.equal(
    config.templates,
    join(packageFolder, 'tenant-templates'),
    'the shipped templates serve a project without its own'
  )
  await mkdir(join(cwd, 'tenant-templates'))
  t.equal(load(cwd).templates, join(cwd, 'tenant-templates'))
})

t.test('every problem is reported at once, each with its place', async t => {
  const cwd = await project(t, {
    lease: '15',
    beat: { every: '5s' },
    home: null,
    concurrency: 0,
    colour: 'red',
    Catalog: 'x'
  })
  const env = {
    SAASCTL_CATALOG_URL: 'mysql://db/saasctl',
    SAASCTL_EMBEDDED: 'perhaps',
    SAASCTL_CATALOG_ADMIN_URL: 'nonsense',
    SAASCTL_DNS_SERVERS: '1.1.1.1, dns.example'
  }
  const { message } = refusal(t, () => load(cwd, { env, flags: { deleteGrace: 'soon' } }))
  for (const part of [
    'SAASCTL_CATALOG_URL: must begin with postgres://',
    'SAASCTL_CATALOG_ADMIN_URL: is not a URL; write postgres://LOGIN@HOST:PORT/DATABASE',
    'SAASCTL_EMBEDDED: must be yes or no',
    '--deleteGrace: must be a duration such as 15s, 10m or 7d',
    'saasctl.json: lease: must be a duration such as 15s, 10m or 7d',
    'saasctl.json: beat: must be a text, a number, true or false',
    'saasctl.json: home: must be a text, a number, true or false',
    'saasctl.json: concurrency: must be a whole number from 1 to 1000',
    'SAASCTL_DNS_SERVERS: must be addresses of name servers, as in 1.1.1.1 or 127.0.0.1:5353',
    'saasctl.json: colour: is not a setting',
    'saasctl.json: Catalog: is not a setting'
  ]) {
    t.ok(message.includes(part), part)
  }
  t.equal(message.split('; ').length, 12, 'and nothing else, but for the semicolon in one of them')
})

t.test('a password in saasctl.json, which is committed, is refused; in the environment it is not', async t => {
  const url = `postgres://control:${canary}@db/saasctl`
  for (const file of [
    { catalog: url },
    { catalog: `postgres://control@db/saasctl?password=${canary}` },
    { catalogPassword: canary },
    { SAASCTL_CATALOG_PASSWORD: canary },
    { controlKey: canary }
  ]) {
    const cwd = await project(t, file)
    t.match(refusal(t, () => load(cwd)).message, /saasctl\.json: \w+: (is no place for a password|is not a setting)/)
  }
  const cwd = await project(t)
  t.equal(load(cwd, { env: { SAASCTL_CATALOG_URL: url } }).catalog, url)
})

t.test('a secret given as a flag is refused, because arguments are in the process list', async t => {
  const cwd = await project(t)
  for (const [name, row] of Object.entries(settings) as Array<[keyof typeof settings, Setting<unknown>]>) {
    if (!row.secret) continue
    const { message } = refusal(t, () => load(cwd, { flags: { [name]: canary } }))
    t.ok(message.includes(`--${name}: is no place for a password; set ${row.env} in the environment`), message)
    t.equal(row.file, undefined, `${name} has no place in saasctl.json`)
  }
  refusal(t, () => load(cwd, { flags: { catalog: `postgres://control:${canary}@db/saasctl` } }))
})

t.test('secrets print as [secret] wherever the configuration is printed', async t => {
  const env = {
    SAASCTL_CATALOG_PASSWORD: canary,
    SAASCTL_CATALOG_ADMIN_URL: `postgres://owner:${canary}@db/saasctl`,
    SAASCTL_CONTROL_KEY: canary,
    SAASCTL_ROUTING_KEY: canary
  }
  const config = load(await project(t), { env })
  t.equal(config.controlKey?.reveal(), canary)
  t.notMatch(inspect(config, { depth: 9, showHidden: true }) + JSON.stringify(config), canary)
})

t.test('a file that is no JSON object is refused by its path, without its text', async t => {
  for (const text of [`{"catalogPassword": ${canary}`, `["${canary}"]`, 'null', '', `{"catalog": "x"} ${canary}`]) {
    const cwd = await project(t, text)
    const { message } = refusal(t, () => load(cwd))
    t.ok(message.startsWith(`${join(cwd, 'saasctl.json')} cannot be read: `), message)
  }
  const cwd = await project(t)
  await mkdir(join(cwd, 'saasctl.json'))
  refusal(t, () => load(cwd))
})

t.test('the project is found from any folder below it', async t => {
  const cwd = await project(t, { home: 'state', template: 'demo' })
  const below = join(cwd, 'packages', 'app', 'src')
  await mkdir(below, { recursive: true })
  t.match(load(below), { project: cwd, home: join(cwd, 'state'), template: 'demo' }, 'and its paths are the project’s')
  t.equal(load(below, { flags: { home: 'here' } }).home, join(below, 'here'), 'a path typed here means here')
  t.equal(load(below, { env: { SAASCTL_HOME: '/var/lib/x' } }).home, '/var/lib/x')
  await writeFile(join(cwd, 'packages', 'saasctl.json'), '{}')
  t.equal(load(below).project, join(cwd, 'packages'), 'the nearest file wins')
})

t.test('without saasctl.json, a folder .saasctl marks the project', async t => {
  const cwd = await project(t)
  await mkdir(join(cwd, '.saasctl'))
  await mkdir(join(cwd, 'below'))
  t.match(load(join(cwd, 'below')), { project: cwd, home: join(cwd, '.saasctl') })
})

t.test('the configuration cannot be changed once it is read', async t => {
  const config = load(await project(t)) as { lease: number; sources: Record<string, string> }
  t.throws(() => {
    config.lease = 1
  }, TypeError)
  t.throws(() => {
    config.sources['lease'] = 'me'
  }, TypeError)
})

t.test('durations have a unit, and those that would do harm are refused', async t => {
  for (const [text, milliseconds] of Object.entries({
    '0ms': 0,
    '300ms': 300,
    '15s': 15_000,
    '10m': 600_000,
    '2h': 7_200_000,
    '7d': 604_800_000
  })) {
    t.equal(duration(text), milliseconds)
  }
  for (const text of ['', '15', '1.5s', '-1s', '1 s', 's', '1w', '1S', '1s ', '1000000000s', '1s1s', '١s']) {
    t.throws(() => duration(text), /must be a duration/, text)
  }
  const cwd = await project(t)
  for (const env of [
    { SAASCTL_LEASE: '0s' },
    { SAASCTL_BEAT: '0ms' },
    { SAASCTL_BEAT: '1m' },
    { SAASCTL_DELETE_GRACE: '99999999d' }
  ]) {
    t.match(
      refusal(t, () => load(cwd, { env })).message,
      /^The configuration is not usable: SAASCTL_\w+: must be from \w+ to \w+\.$/
    )
  }
  t.equal(load(cwd, { env: { SAASCTL_DELETE_GRACE: '0s' } }).deleteGrace, 0)
})

t.test('a catalog address that no driver reads is refused before one tries', async t => {
  const cwd = await project(t)
  for (const SAASCTL_CATALOG_URL of [
    'db.internal/saasctl',
    'http://db/saasctl',
    'postgres://db',
    'postgres://db/',
    `postgres://control:${canary}%@db/saasctl`,
    `postgres://control:${canary} /x@db/saasctl`
  ]) {
    refusal(t, () => load(cwd, { env: { SAASCTL_CATALOG_URL } }))
  }
  for (const SAASCTL_CATALOG_URL of [
    'postgresql://db/saasctl',
    'postgres://a%40b:%25@[::1]:5433/saasctl?sslmode=verify-full'
  ]) {
    t.equal(load(cwd, { env: { SAASCTL_CATALOG_URL } }).catalog, SAASCTL_CATALOG_URL)
  }
})

t.test('docs/configuration.md lists exactly the settings of the table', async t => {
  const page = await readFile(join(packageFolder, 'docs', 'configuration.md'), 'utf8')
  const listed = [...page.matchAll(/^\| `(\w+)` \| (?:`(\w+)`)? ?\| (.*?) ?\| (.*) \|$/gm)].map(
    ([, env, file, , about]) => ({ env, file, about })
  )
  const rows: Setting<unknown>[] = Object.values(settings)
  t.strictSame(
    listed,
    rows.map(({ env, file, about }) => ({ env, file, about }))
  )
  for (const { about } of rows) t.match(about, /^[A-Z].*\.$/)
  const { status, stderr } = spawnSync(process.execPath, [join(packageFolder, 'scripts', 'docs.mjs'), '--check'])
  t.equal(status, 0, String(stderr))
})
