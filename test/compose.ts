import { execFile } from 'node:child_process'
import { access, copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
// Comes with tap.
import { parse } from 'yaml'
import { packageFolder } from '../src/config.js'
import { settings } from '../src/settings.js'

interface Service {
  image: string
  build?: string
  ports?: string[]
  secrets?: string[]
  volumes?: string[]
  env_file?: Array<{ path: string }>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
}

const text = await readFile(join(packageFolder, 'docker-compose.yml'), 'utf8')
const { services, secrets, volumes } = parse(text) as {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, null>
}

t.test('every service says whether it is healthy, and is reachable from this machine only', async t => {
  t.same(Object.keys(services), ['catalog', 'tenants', 'tenants-mysql', 'store', 'worker'])
  for (const [name, { image, build, healthcheck, ports = [], depends_on = {} }] of Object.entries(services)) {
    t.match(healthcheck?.test[0], /^CMD/, name)
    t.ok(build !== undefined || /:[\w.-]*\d/.test(image), `${name}: ${image} is of a version`)
    for (const port of ports) t.match(port, /^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/, name)
    for (const other of Object.keys(depends_on)) t.ok(services[other], `${name} waits for ${other}`)
  }
})

t.test('what is mounted is there, and its secrets are made by the script, for one’s own eyes', async t => {
  const folder = t.testdir({ docker: {} })
  await mkdir(join(folder, 'docker'), { recursive: true })
  const script = join(folder, 'docker', 'make-secrets.sh')
  await copyFile(join(packageFolder, 'docker', 'make-secrets.sh'), script)
  const make = () => promisify(execFile)('sh', [script])
  await make()
  const made = join(folder, 'docker', 'secrets')
  t.equal((await stat(made)).mode & 0o777, 0o700)
  const password = await readFile(join(made, 'store_password'), 'utf8')
  await make()
  t.equal(await readFile(join(made, 'store_password'), 'utf8'), password, 'a second time keeps them')

  t.same((await readdir(made)).sort(), [...Object.keys(secrets), 'store.env'].sort())
  for (const { file } of Object.values(secrets)) await t.resolves(access(join(folder, file)), file)
  for (const service of Object.values(services)) {
    for (const name of service.secrets ?? []) t.ok(secrets[name], name)
    for (const [from = ''] of (service.volumes ?? []).map(volume => volume.split(':'))) {
      if (!from.startsWith('.')) t.ok(from in volumes, from)
      else if (!from.startsWith('./.saasctl')) await t.resolves(access(join(packageFolder, from)), from)
    }
  }
  const lines = (await readFile(join(made, 'store.env'), 'utf8')).trim().split('\n')
  const known = Object.values(settings).map(({ env }) => env as string)
  for (const line of lines)
    t.ok(
      known.some(name => line.startsWith(`${name}=`)),
      'a setting is set'
    )
  t.ok(lines.includes(`AWS_SECRET_ACCESS_KEY=${password}`))
  t.match(lines[1], /http:\/\/127\.0\.0\.1:54323/)
})
