import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { packageFolder } from '../src/config.js'
import { embedded } from '../src/embedded/embedded.js'
import { scratch, skipWithoutPostgres } from './support/servers.js'

const run = promisify(execFile)

/** What npm would put into the registry, unpacked as npm would install it, in a project of somebody else's. */
if (!(await skipWithoutPostgres(t))) {
  const project = await mkdtemp(join(scratch, 'saasctl-package.'))
  const env = { PATH: process.env['PATH'] ?? '', HOME: project }
  t.teardown(async () => {
    await embedded(join(project, '.saasctl'), env.PATH === '' ? { path: '' } : { path: env.PATH }).reset()
    await rm(project, { recursive: true, force: true })
  })

  const modules = join(project, 'node_modules')
  await mkdir(join(modules, 'saasctl'), { recursive: true })
  for (const name of await readdir(join(packageFolder, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(packageFolder, 'node_modules', name), join(modules, name))
  }
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', project]
  const { stdout } = await run('npm', pack, { cwd: packageFolder, maxBuffer: 10_000_000 })
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: Array<{ path: string }> }]
  await run('tar', ['xzf', packed.filename, '--strip-components=1', '-C', join(modules, 'saasctl')], { cwd: project })
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'theirs', type: 'module' }))

  const cli = join(modules, 'saasctl', 'dist', 'cli', 'main.js')
  const saasctl = (...args: string[]) => run(process.execPath, [cli, ...args], { cwd: project, env })

  t.test('the package holds what it needs to run, and nothing of our tests', async t => {
    const paths = packed.files.map(({ path }) => path)
    for (const wanted of [
      'dist/cli/main.js',
      'dist/src/index.js',
      'dist/src/index.d.ts',
      'catalog-migrations/0001_instance.sql',
      'tenant-templates/plans.json',
      'README.md',
      'LICENSE'
    ]) {
      t.ok(paths.includes(wanted), wanted)
    }
    t.same(
      paths.filter(path => /(^|\/)(test|bench|examples)\/|\.saasctl|secret.*\.(key|env)$/.test(path)),
      [],
      'nothing else'
    )
  })

  t.test('init makes it usable in somebody else’s project, from an empty folder to a tenant', async t => {
    const started = await saasctl('init')
    t.match(started.stdout, /saasctl\.json\s+written/)
    const created = await saasctl('tenant', 'create', 'acme', '-o', 'json')
    t.match(JSON.parse(created.stdout).tenant, { slug: 'acme', status: 'active', migration: '0001_members' })
    await saasctl('migration', 'new', 'add-orders')
    const migrated = await saasctl('tenant', 'migrate', 'acme', '-o', 'json')
    t.match(JSON.parse(migrated.stdout).tenant, { migration: '0002_add_orders' })
    const again = await saasctl('init')
    t.match(again.stdout, /saasctl\.json\s+kept/)
    t.notMatch(again.stdout, /written/)
  })

  t.test('the library is imported by its name', async t => {
    const program = `
      import { findTenant, loadConfig, open } from 'saasctl'
      const saasctl = await open(loadConfig())
      console.log((await findTenant(saasctl.catalog, 'acme')).status)
      await saasctl.close()`
    await writeFile(join(project, 'program.mjs'), program)
    const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: project, env })
    t.equal(stdout.trim(), 'active')
  })

  t.test('its types stand in their program, checked as strictly as a compiler can', async t => {
    const program = `
      import { createTenant, loadConfig, open, type Saasctl } from 'saasctl'
      import { fromSubdomain, router } from 'saasctl/router'
      import { testTenants } from 'saasctl/testing'
      import Fastify from 'fastify'
      const saasctl: Saasctl = await open(loadConfig())
      const outcome = await createTenant(saasctl, { slug: 'x' }, { template: 'standard' }, { wait: true })
      const slug: string = outcome.tenant.slug
      const tests = await testTenants({ tenants: [slug] })
      const app = Fastify()
      await app.register(router, { config: tests.config, entities: [], resolve: [fromSubdomain('app.example')] })
      app.get('/', async request => [request.tenant.slug, await (await request.tenantDb()).query('select 1')])`
    await writeFile(join(project, 'typed.ts'), program)
    const strictest = {
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true },
      ...{ skipLibCheck: false, noEmit: true, target: 'es2022', types: ['node'] }
    }
    for (const [module, moduleResolution] of [
      ['node16', 'node16'],
      ['esnext', 'bundler']
    ]) {
      const config = { compilerOptions: { ...strictest, module, moduleResolution }, files: ['typed.ts'] }
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config))
      const compiler = join(packageFolder, 'node_modules', 'typescript', 'lib', 'tsc.js')
      await t.resolves(run(process.execPath, [compiler, '-p', project], { cwd: project, env }), `${moduleResolution}`)
    }
  })

  t.test('their tests get tenants of their own project, and none of those that it has', async t => {
    const program = `
      import { createTenants } from 'saasctl/router'
      import { testTenants } from 'saasctl/testing'
      const tests = await testTenants({ tenants: ['acme'] })
      const tenants = await createTenants({ config: tests.config, entities: [] })
      await tenants.use('acme', async session => {
        const [row] = await (await session.db()).query('select count(*)::int as members from members')
        console.log(JSON.stringify({ members: row.members, migration: session.tenant.migration }))
      })
      await tenants.close()
      await tests.close()`
    await writeFile(join(project, 'their-test.mjs'), program)
    const { stdout } = await run(process.execPath, ['their-test.mjs'], { cwd: project, env })
    t.same(JSON.parse(stdout), { members: 0, migration: '0002_add_orders' })
    t.match((await saasctl('tenant', 'list')).stdout, /^acme /m)
  })
}
