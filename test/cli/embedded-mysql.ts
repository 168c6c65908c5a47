import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { embedded } from '../../src/embedded/embedded.js'
import { cli } from '../support/cli.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const { run, json, folder } = await cli(t)
  const home = join(folder, '.saasctl')
  t.teardown(() => embedded(home, { path: process.env['PATH'] ?? '' }).reset())
  const servers = () => json<Array<{ name: string; engine: string; port: number }>>(['server', 'list'])
  const data = join(home, 'embedded', 'mysql', 'data')
  const pid = async () => Number(await readFile(join(data, 'server.pid'), 'utf8'))
  const runs = async (process: number) =>
    (await readFile(`/proc/${process}/cmdline`, 'utf8').catch(() => '')).includes('datadir')

  await t.test('the environment has no MySQL server until it is asked for', async t => {
    await json(['dev', 'start'])
    t.match(await servers(), [{ name: 'local' }])
    t.equal((await servers()).length, 1)
  })

  await t.test('asked for once, by several at the same time, it is made once and stands in the catalog', async t => {
    const both = await Promise.all([run(['dev', 'start', '--mysql']), run(['dev', 'start', '--mysql'])])
    for (const { code, stderr } of both) t.equal(code, 0, stderr)
    t.equal(both.filter(({ stderr }) => /Making a private (MariaDB|MySQL)/.test(stderr)).length, 1)
    t.match(await servers(), [{ name: 'local' }, { name: 'local-mysql', engine: 'mysql' }])
    const { code, stdout } = await run(['server', 'check', 'local-mysql'])
    t.equal(code, 0, stdout)
    t.notMatch(stdout, /^(warning|error)/m, 'and nothing about it is unsafe')
  })

  await t.test('it starts with the environment, on the same port, also after a crash', async t => {
    const port = (await servers())[1]?.port
    process.kill(await pid(), 'SIGKILL')
    t.equal((await servers())[1]?.port, port)
    const before = await pid()
    t.equal((await run(['dev', 'stop'])).code, 0)
    t.equal(await runs(before), false)
    t.match(await json(['dev', 'status']), { state: 'stopped', mysql: { state: 'stopped', port, pid: null } })
    t.equal((await servers())[1]?.port, port)
    t.match(await json(['tenant', 'create', 'acme', '--engine', 'mysql']), { tenant: { server: 'local-mysql' } })
  })

  await t.test('nobody but its own user reads its data or its passwords', async t => {
    t.equal((await stat(data)).mode & 0o077, 0)
    t.equal((await stat(join(home, 'embedded', 'mysql', 'server.json'))).mode & 0o077, 0)
  })

  await t.test('reset deletes it with the rest', async t => {
    const before = await pid()
    t.equal((await run(['dev', 'reset', '--confirm', 'local'])).code, 0)
    t.equal(await runs(before), false)
    t.equal(await stat(data).catch(() => 'nothing'), 'nothing')
  })
}
