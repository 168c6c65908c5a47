import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  // A process that stands still must not lose its lease while the test looks at it.
  const plane = await controlPlane({ env: { ...tiny.env, SAASCTL_LEASE: '30s' } })
  t.teardown(() => plane.close())
  const { run, start, json } = await cli(t, plane.env)
  const stopAt = (point: string) => ({ env: { SAASCTL_FAILPOINT: `${point}=stop` } })
  const databases = async () => (await json<Array<{ databases: number }>>(['server', 'list']))[0]?.databases

  t.test('Ctrl-C during a create takes everything back and exits 130', async t => {
    await json(['tenant', 'create', 'first'])
    const before = await databases()
    const creating = start(['tenant', 'create', 'acme'], stopAt('tenant.create/copy template:acted'))
    await creating.stopped()
    t.equal(await databases(), Number(before) + 1, 'its place is taken')
    creating.child.kill('SIGINT')
    creating.child.kill('SIGCONT')
    const { code, stdout, stderr } = await creating.ended
    t.equal(code, 130, stderr)
    t.equal(stdout, '')
    t.match(stderr, /Stopping at the next step; what was made is taken back/)
    t.match(stderr, /error: tenant\.create was cancelled; what it had made was taken back\./)
    t.equal(await databases(), before, 'and given back')
    t.equal((await run(['tenant', 'show', 'acme'])).code, 5)
    const doctor = await run(['doctor'])
    t.equal(doctor.code, 0, doctor.stdout)
    t.equal((await run(['tenant', 'create', 'acme'])).code, 0, 'the slug is free again at once')
  })

  t.test('a second Ctrl-C leaves at once; the next command says what is unfinished, and resume goes on', async t => {
    const creating = start(['tenant', 'create', 'globex'], {
      env: { ...stopAt('tenant.create/make logins:acted').env, SAASCTL_LEASE: '500ms' }
    })
    await creating.stopped()
    creating.child.kill('SIGINT')
    creating.child.kill('SIGCONT')
    await creating.says(/Stopping/)
    creating.child.kill('SIGINT')
    const { code } = await creating.ended
    t.equal(code, 130)
    const [last] = await json<Array<{ id: string; status: string }>>(['operation', 'list', '--limit', '1'])
    const id = last?.id ?? ''
    if (last?.status === 'cancelled') return t.comment('It was faster than the second signal.')
    await leaseIsOver(id)
    t.match(
      (await run(['tenant', 'list'])).stderr,
      `Operation ${id} was left unfinished; go on with "saasctl operation resume ${id}"`
    )
    t.equal((await run(['operation', 'resume', id])).code, 130, 'it was to be cancelled, and now it is')
    t.match(await json(['operation', 'show', id]), { status: 'cancelled' })
  })

  t.test('what was killed is resumed to its end', async t => {
    const killed = await run(['tenant', 'create', 'initech'], {
      env: { SAASCTL_FAILPOINT: 'tenant.create/hand over:acted', SAASCTL_LEASE: '300ms' }
    })
    t.equal(killed.code, null, 'by SIGKILL')
    const [last] = await json<Array<{ id: string }>>(['operation', 'list', '--open'])
    const id = last?.id ?? ''
    await leaseIsOver(id)
    const resumed = await run(['operation', 'resume', id])
    t.match(resumed, { code: 0, stdout: /succeeded/ })
    t.notMatch(resumed.stderr, /left unfinished/, 'nor is it said to be open any more')
    t.match(await json(['tenant', 'show', 'initech']), { status: 'active' })
  })

  t.test('Ctrl-C where nothing is to be taken back exits 130', async t => {
    const create = start(['tenant', 'create', 'umbrella'], stopAt('tenant.create/make logins:acted'))
    await create.stopped()
    const [open] = await json<Array<{ id: string }>>(['operation', 'list', '--open'])
    const watching = start(['operation', 'watch', open?.id ?? ''])
    await watching.says(/Following tenant\.create/)
    watching.child.kill('SIGINT')
    t.equal((await watching.ended).code, 130)
    create.child.kill('SIGCONT')
    t.equal((await create.ended).code, 0, 'who only watched has cancelled nothing')
  })

  t.test('Ctrl-C in the middle of many tenants leaves those alone that were not begun', async t => {
    const many = start(['tenant', 'suspend', '--all', '--yes'], {
      env: { ...stopAt('tenant.suspend/close logins:begun').env, SAASCTL_CONCURRENCY: '1' }
    })
    await many.stopped()
    many.child.kill('SIGINT')
    many.child.kill('SIGCONT')
    const { code, stdout, stderr } = await many.ended
    t.equal(code, 130, stderr)
    t.match(stdout, /^acme +done +suspended/m, 'a suspension only goes forward')
    t.match(stdout, /^first +left/m)
    t.match(stderr, /Stopped: 1 tenant suspended, 0 not, 3 not begun\./)
    t.match(await json(['tenant', 'show', 'first']), { status: 'active' })
  })

  async function leaseIsOver(id: string): Promise<void> {
    for (;;) {
      const [row] = await plane.saasctl.catalog.query<{ over: boolean }>(
        'select lease_until is null or lease_until < clock_timestamp() as over from saasctl.operation where id = $1',
        [id]
      )
      if (row?.over) return
      await new Promise(resolve => setTimeout(resolve, 30))
    }
  }
}
