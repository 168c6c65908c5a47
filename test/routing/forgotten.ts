import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { makeTenants, routerEnvironment } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])
  const env = await routerEnvironment(plane)

  const start = async (test: Pick<typeof t, 'teardown'>) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('../support/forgetful-app.js', import.meta.url))], {
      env: { PATH: plane.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    test.teardown(() => child.kill('SIGKILL'))
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += String(chunk)
    })
    const [port] = (await once(child.stdout, 'data')) as [Buffer]
    return { child, port: Number(String(port)), stderr: () => stderr }
  }
  const get = (port: number, slug: string, path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = request({ port, path, host: '127.0.0.1', headers: { host: `${slug}.app.example` } }, answer => {
        answer.resume().on('end', () => resolve(answer.statusCode))
      })
      asked.on('error', reject).end()
    })

  await t.test('a handler that forgets to await takes no other tenant’s requests along', async t => {
    const { child, port, stderr } = await start(t)
    t.equal(await get(port, 'acme', '/ok'), 200)
    for (const path of ['/forget', '/late', '/forget', '/late']) t.equal(await get(port, 'acme', path), 200)
    const told = async () =>
      [...stderr().matchAll(/"code":"LEASE_ENDED","where":"GET (\/\w+)"/g)].map(([, path]) => path)
    const paths = await eventually(told, paths => paths.length >= 4)
    t.same(paths.sort(), ['/forget', '/forget', '/late', '/late'], 'each is told of once, with the route that forgets')
    t.notMatch(stderr(), /pg_sleep|select/)
    t.equal(child.exitCode, null, 'the process goes on')
    t.equal(await get(port, 'globex', '/ok'), 200)
    t.equal(await get(port, 'acme', '/ok'), 200, 'and so does the forgetful tenant')
  })

  await t.test('every other error that nobody holds ends the process, as it does without the router', async t => {
    const { child, port, stderr } = await start(t)
    const ended = once(child, 'exit')
    await get(port, 'acme', '/bug').catch(() => {})
    const [code] = await ended
    t.equal(code, 1)
    t.match(stderr(), /a bug of the application/)
  })
}
