import type { Queryable } from '../catalog/catalog.js'
import { listServers, type ServerRow, serversWithRoom, takePlace, type Wish } from '../catalog/servers.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** Takes a place on the least loaded server that fits; NO_SERVER says why none does. */
export async function chooseServer(q: Queryable, wish: Wish, engines: EngineName[]): Promise<ServerRow> {
  const candidates = (await serversWithRoom(q, wish)).filter(server => engines.includes(server.engine))
  for (const server of candidates) {
    // Another create may have taken the last place between the look and the taking.
    if (await takePlace(q, server.id)) return server
  }
  throw await noServer(q, wish, engines)
}

async function noServer(q: Queryable, wish: Wish, engines: EngineName[]): Promise<SaasctlError> {
  const all = await listServers(q)
  const fail = (message: string, hint: string) => new SaasctlError('NO_SERVER', message, { hint })
  if (all.length === 0) return fail('There is no server yet.', 'Add one with "saasctl server add".')
  if (wish.server !== null && !all.some(({ name }) => name === wish.server)) {
    return new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(wish.server)}.`, {
      hint: `The servers are: ${all.map(({ name }) => name).join(', ')}.`
    })
  }
  const fitting = all.filter(
    ({ name, region, engine }) =>
      (wish.server === null || name === wish.server) &&
      (wish.region === null || region === wish.region) &&
      (wish.engine === null || engine === wish.engine) &&
      engines.includes(engine)
  )
  if (fitting.length === 0) {
    const asked = [
      wish.server && `server ${wish.server}`,
      wish.region && `region ${wish.region}`,
      wish.engine && `engine ${wish.engine}`
    ]
    const words = asked.filter(Boolean).join(', ')
    return fail(
      `No server fits ${words && `${words} and `}the template’s engines (${engines.join(', ')}).`,
      'Add one with "saasctl server add", or see which there are with "saasctl server list".'
    )
  }
  const state = ({ name, status, databases, capacity }: ServerRow) => {
    if (status === 'cordoned') return `${name} is cordoned`
    const what = capacity !== null && databases < capacity ? 'has room for the template alone' : 'is full'
    return `${name} ${what} (${databases} of ${capacity})`
  }
  return fail(
    `No server can take another database: ${fitting.map(state).join(', ')}.`,
    'Add a server, raise a capacity with "saasctl server update NAME --capacity N", or uncordon one.'
  )
}
