import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { KeepBound } from '../../src/databases/keep-bound.js'
import type { Tools } from '../../src/operations/kind.js'

t.test('a program that ends waits a moment for a server, and turns to no other after it', async t => {
  let asked = 0
  let answer = (_: unknown[]) => {}
  const query = async () => {
    asked += 1
    if (asked === 1) return [{ id: 'silent' }, { id: 'next' }]
    return new Promise<unknown[]>(resolve => {
      answer = resolve
    })
  }
  const bound = new KeepBound({ catalog: { query } } as unknown as Tools)
  bound.heard([{ chain: 'tenant:1', action: 'tenant.rename', subject: 'tenant:1', payload: {} }])
  await bound.close()
  t.equal(asked, 2, 'the first server is being looked for')
  answer([])
  await sleep(10)
  t.equal(asked, 2, 'and the next one never')
})
