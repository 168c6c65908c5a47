import { violates } from '../catalog/errors.js'
import { everHadServer, insertServer, type ServerRow, serverByName } from '../catalog/servers.js'
import { sealControlPassword } from '../databases/access.js'
import type { EngineName, Finding, Tls } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { parseLabels, parseName, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { defaultTls } from './tls.js'

export interface NewServer {
  name: string
  engine: EngineName
  host: string
  port?: number | undefined
  login: string
  password: Secret
  maintenance?: string | undefined
  tls?: Tls | undefined
  region?: string | undefined
  labels?: Record<string, string> | undefined
  capacity?: number | undefined
  embedded?: boolean | undefined
}

/**
 * Adds a server after logging in and looking: a missing right is SERVER_RIGHTS with the statement that grants it, and nothing
 * is written. Gives what the look found, warnings included.
 */
export async function addServer(
  context: Context,
  wish: NewServer
): Promise<{ server: ServerRow; findings: Finding[] }> {
  const name = parseName(wish.name, 'server')
  if (await serverByName(context.catalog, name)) throw serverTaken(name)
  const engine = await context.engine(wish.engine)
  const tls = wish.tls ?? defaultTls(wish.host)
  const access = {
    host: wish.host,
    port: wish.port ?? engine.defaultPort,
    tls,
    maintenance: wish.maintenance ?? engine.maintenance,
    control: { login: wish.login, password: wish.password }
  }
  const facts = await engine.probe(access)
  const findings = await engine.check(access)
  const missing = findings.filter(finding => finding.level === 'error')
  if (missing.length > 0) {
    throw new SaasctlError(
      'SERVER_RIGHTS',
      `Server ${name} is not ready: ${missing.map(finding => finding.message).join(' ')}`,
      {
        hint: missing
          .map(finding => finding.fix)
          .filter(Boolean)
          .join(' '),
        data: { findings: missing }
      }
    )
  }
  const id = uuidv7()
  const { maintenance, host, port } = access
  const { region = null, capacity = null, embedded = false } = wish
  const labels = parseLabels(wish.labels ?? {})
  await makeFirstKeys(context)
  const sealed = await sealControlPassword(context.keys, id, wish.password)
  await context.catalog
    .transaction(context.actor, async tx => {
      const row = { id, name, engine: wish.engine, host, port, tls, maintenance, region, labels, capacity, embedded }
      await insertServer(tx, { ...row, controlLogin: wish.login, controlPassword: sealed, facts: { ...facts } })
      tx.audit({
        chain: 'server',
        action: 'server.add',
        subject: `server:${id}`,
        payload: { ...row, tls: tls.mode, login: wish.login }
      })
    })
    .catch(error => {
      throw violates(error, 'server_name') ? serverTaken(name) : error
    })
  const server = await serverByName(context.catalog, name)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `Server ${name} was removed while it was being added.`)
  return { server, findings }
}

/** With the first server come the master keys. Later a missing key is a loss to report, not a gap to fill. */
async function makeFirstKeys(context: Context): Promise<void> {
  if (await everHadServer(context.catalog)) return
  await Promise.all([context.keys.ensure('control'), context.keys.ensure('routing')])
}

function serverTaken(name: string): SaasctlError {
  return new SaasctlError('SERVER_EXISTS', `There is a server named ${name} already.`, {
    hint: `Change it with "saasctl server update ${name}", or choose another name.`
  })
}
