import t from 'tap'
import type { Context } from '../../src/operations/kind.js'
import type { Discovery, StrangeDatabase } from '../../src/rescue/discover.js'
import { giftsOf, parseGift } from '../../src/rescue/give.js'

const context = { catalog: { query: async () => [] } } as unknown as Context
const name = 't06frm6vqg7fy9a2k3mxh5w0pgc'
const on = (server: string): StrangeDatabase =>
  ({ server: { name: server }, id: server, name, how: 'unknown' }) as unknown as StrangeDatabase
const found = (...strange: StrangeDatabase[]) => ({ strange, unknown: [], changed: [] }) as unknown as Discovery

t.test('a name that stands on a server and on its copy says not which of the two is given', async t => {
  const gifts = [parseGift(`${name}=acme`)]
  await t.rejects(giftsOf(context, found(on('main'), on('copy')), gifts, 'tiny'), {
    code: 'INVALID_INPUT',
    message: /several servers/
  })
})
