import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import type { Json } from '../../src/canonical.js'
import { readInstance } from '../../src/catalog/instance.js'
import { type OperationRow, operationById, stepsOf } from '../../src/catalog/operations.js'
import { SaasctlError } from '../../src/errors.js'
import { startDispatch } from '../../src/operations/dispatch.js'
import { cancelOperation } from '../../src/operations/inspect.js'
import type { Kind, Step, Work } from '../../src/operations/kind.js'
import { Operations } from '../../src/operations/operations.js'
import { startOperation } from '../../src/operations/start.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { proxyTo, through } from '../support/proxy.js'

/** The runner on the real ledger, with steps that only write down what was done with them. */
const plane = await controlPlane({ addServer: false })
t.teardown(() => plane.close())
const { catalog } = plane.saasctl

function recorder(fail: Record<string, SaasctlError[]> = {}) {
  const said: string[] = []
  const step = (name: string): Step => ({
    name,
    act: async () => {
      said.push(name)
      const error = fail[name]?.shift()
      if (error) throw error
    },
    undo: async () => {
      said.push(`undo ${name}`)
      const error = fail[`undo ${name}`]?.shift()
      if (error) throw error
    }
  })
  return { said, step }
}

function kindOf(steps: Step[], more: Partial<Kind> = {}): Kind {
  return {
    name: 'test.kind',
    inputVersion: 1,
    exclusion: 'shared',
    steps,
    open: async (): Promise<Work> => ({}),
    ...more
  }
}

async function begin(kind: Kind, input: Json = {}): Promise<{ operations: Operations; operation: OperationRow }> {
  const operations = new Operations(plane.saasctl, {
    owner: `test-${Math.random()}`,
    leaseMs: 600,
    failpoint: () => {},
    kinds: { names: [kind.name], load: async () => kind }
  })
  const { actor } = plane.saasctl
  const claim = await operations.claim(true)
  const operation = await catalog.transaction(actor, tx =>
    startOperation(tx, { kind, input, subject: 'test:1', actor, claim })
  )
  return { operations, operation }
}

const forGood = (message: string) => new SaasctlError('FAILED', message)
const forNow = (message: string) => new SaasctlError('SERVER_BUSY', message, { retryable: true })

t.test('steps run in order, and each is recorded as begun and done', async t => {
  const { said, step } = recorder()
  const { operations, operation } = await begin(kindOf(['one', 'two', 'three'].map(step)))
  const over = await operations.follow(operation)
  t.equal(over.status, 'succeeded')
  t.same(said, ['one', 'two', 'three'])
  const steps = await stepsOf(catalog, operation.id)
  t.same(
    steps.map(({ status }) => status),
    ['done', 'done', 'done']
  )
  t.ok(steps.every(({ begunAt, doneAt }) => begunAt && doneAt && begunAt <= doneAt))
})

t.test('a step that fails for good is taken back newest first, itself included', async t => {
  const { said, step } = recorder({ three: [forGood('no')] })
  const { operations, operation } = await begin(kindOf(['one', 'two', 'three'].map(step)))
  await t.rejects(operations.follow(operation), { code: 'FAILED', message: 'no', operationId: operation.id })
  t.same(said, ['one', 'two', 'three', 'undo three', 'undo two', 'undo one'])
  t.equal((await operationById(catalog, operation.id))?.status, 'failed')
  t.same(
    (await stepsOf(catalog, operation.id)).map(({ status }) => status),
    ['undone', 'undone', 'undone']
  )
})

t.test('an error that may pass is tried again, and what was done is not done twice', async t => {
  const { said, step } = recorder({ two: [forNow('busy'), forNow('busy')] })
  const { operations, operation } = await begin(kindOf(['one', 'two', 'three'].map(step)))
  const over = await operations.follow(operation)
  t.equal(over.status, 'succeeded')
  t.same(said, ['one', 'two', 'two', 'two', 'three'])
})

t.test('past the pivot it only goes forward, whatever the error', async t => {
  const { said, step } = recorder({ two: [forGood('no'), forGood('still no')] })
  const { operations, operation } = await begin(kindOf(['one', 'two'].map(step), { pivot: 'one' }))
  t.equal((await operations.follow(operation)).status, 'succeeded')
  t.same(said, ['one', 'two', 'two', 'two'])
})

t.test('a failed undo stands beside the first error, and is tried until it works', async t => {
  const { said, step } = recorder({ two: [forGood('first')], 'undo one': [forGood('second')] })
  const { operations, operation } = await begin(kindOf(['one', 'two'].map(step)))
  await t.rejects(operations.follow(operation), { message: 'first', also: [{ message: 'second' }] })
  t.same(said, ['one', 'two', 'undo two', 'undo one', 'undo one'])
  t.equal((await operationById(catalog, operation.id))?.status, 'failed')
})

t.test('a cancelled operation stops at its next step and takes back what it made', async t => {
  const { said, step } = recorder()
  const cancel: Step = { ...step('two'), act: async () => void (await cancelOperation(plane.saasctl, operation.id)) }
  const { operations, operation } = await begin(kindOf([step('one'), cancel, step('three')]))
  await t.rejects(operations.follow(operation), { code: 'CANCELLED', exit: 130 })
  t.same(said, ['one', 'undo two', 'undo one'])
  t.equal((await operationById(catalog, operation.id))?.status, 'cancelled')
  await t.rejects(cancelOperation(plane.saasctl, operation.id), { code: 'OPERATION_STATE' })
})

t.test('what a step commits is there exactly when the step is done', async t => {
  const { step } = recorder()
  const commit: Step = {
    name: 'write',
    commit: async tx => {
      await tx.query('update saasctl.instance set keys_backed_up_at = now()')
      throw forGood('no')
    }
  }
  const { operations, operation } = await begin(kindOf([step('one'), commit]))
  await t.rejects(operations.follow(operation), { message: 'no' })
  t.same(
    (await stepsOf(catalog, operation.id)).map(({ status }) => status),
    ['undone', 'pending']
  )
  t.equal((await readInstance(catalog)).keysBackedUpAt, null)
})

t.test('a process that lost its lease can write nothing, and follows the new owner to the end', async t => {
  const { said, step } = recorder()
  let taken: Promise<unknown> | undefined
  const stolen: Step = {
    ...step('two'),
    act: async () => {
      said.push('two')
      if (taken) return
      await catalog.query(`update saasctl.operation set lease_until = now() - interval '1 s' where id = $1`, [
        operation.id
      ])
      taken = other.wake(operation.id)
      await eventually(
        () => operationById(catalog, operation.id),
        found => found?.epoch === 2
      )
    }
  }
  const { operations, operation } = await begin(kindOf([step('one'), stolen, step('three')]))
  const other = new Operations(plane.saasctl, { ...operations.settings, owner: 'the other' })
  const over = await operations.follow(operation)
  await taken
  t.equal(over.status, 'succeeded')
  t.equal(over.epoch, 2)
  t.same(said, ['one', 'two', 'two', 'three'], 'the first owner did nothing after its step')
})

t.test('an operation begun by a program with other steps is refused, not guessed at', async t => {
  const { step } = recorder()
  const { operation } = await begin(kindOf(['one', 'two'].map(step)))
  await catalog.query(`update saasctl.operation set lease_until = null where id = $1`, [operation.id])
  const newer = kindOf(['one', 'between', 'two'].map(step))
  const other = new Operations(plane.saasctl, {
    owner: 'newer',
    leaseMs: 600,
    failpoint: () => {},
    kinds: { names: [newer.name], load: async () => newer }
  })
  await t.rejects(other.follow(operation, { timeoutMs: 300 }), { code: 'STILL_RUNNING' })
  t.equal((await stepsOf(catalog, operation.id)).filter(({ status }) => status !== 'pending').length, 0)
})

t.test('one that must come after another waits for it, and fails with it', async t => {
  const { step } = recorder({ first: [forGood('the first one failed')] })
  const { operations, operation: first } = await begin(kindOf([step('first')]))
  const { actor } = plane.saasctl
  const kind = kindOf([step('second')])
  const second = await catalog.transaction(actor, tx =>
    startOperation(tx, { kind, input: {}, subject: 'test:2', actor, claim: null, after: first.id })
  )
  t.equal(await operations.wake(second.id), false, 'not due before the first is over')
  await t.rejects(operations.follow(first), { message: 'the first one failed' })
  const load = async () => kind
  const other = new Operations(plane.saasctl, { ...operations.settings, kinds: { names: [kind.name], load } })
  await t.rejects(other.follow(second), { message: 'the first one failed' })
})

t.test('whoever waits only so long is told that it goes on, and the next one finishes it from there', async t => {
  const { said, step } = recorder()
  const slow: Step = {
    ...step('one'),
    act: async () => {
      said.push('one')
      await new Promise(resolve => setTimeout(resolve, 900))
    }
  }
  const { operations, operation } = await begin(kindOf([slow, step('two')]))
  await t.rejects(operations.follow(operation, { timeoutMs: 600 }), { code: 'STILL_RUNNING', exit: 7 })
  t.same(said, ['one'], 'the step under way came to its end, the next was not begun')
  t.equal((await operations.follow(operation)).status, 'succeeded')
  t.equal(said.at(-1), 'two')
  t.notOk(
    said.some(line => line.startsWith('undo')),
    'nothing was taken back'
  )
})

t.test('a worker that is told to end while its lost queue is started anew comes to its end', async t => {
  const proxy = await proxyTo(plane.server)
  t.teardown(() => proxy.close())
  const pools: pg.Pool[] = []
  const openPool = () => {
    const pool = new pg.Pool({ connectionString: through(proxy, plane.env['SAASCTL_CATALOG_URL'] ?? '') })
    pool.on('error', () => {})
    pool.on('connect', client => client.on('error', () => {}))
    pools.push(pool)
    return pool
  }
  let lose = () => {}
  const lost = new Promise<void>(resolve => {
    lose = resolve
  })
  let letOn = () => {}
  const on = new Promise<void>(resolve => {
    letOn = resolve
  })
  let cut = false
  const dispatch = await startDispatch({
    openPool,
    concurrency: 1,
    pollInterval: 50,
    crontab: '',
    taskList: {
      // Its end cannot be written.
      operation: async () => {
        if (cut) return
        cut = true
        proxy.mode = 'closed'
        proxy.cut()
      }
    },
    onError: () => {},
    onLost: () => {
      lose()
      return on
    }
  })
  await catalog.query(`select graphile_worker.add_job('operation', '{}')`)
  await lost
  const stopped = dispatch.stop().then(() => 'stopped')
  proxy.mode = 'pass'
  letOn()
  t.equal(await Promise.race([stopped, sleep(20_000, 'it goes on', { ref: false })]), 'stopped')
  t.equal(pools.length, 2, 'it was started anew')
  t.equal(pools[1]?.ended, true, 'and takes no more jobs')
})
