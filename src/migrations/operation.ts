import { type ServerRow, serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { SaasctlError } from '../errors.js'
import type { Kind, Tools } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { roundTrip } from './round-trip.js'
import { type CheckInput, ScratchWork } from './scratch.js'

const limits = { connections: 2, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null }

/** Runs a template's migrations up, down and up on a database of their own, of which nothing stays, whatever happens. */
export const migrationCheck: Kind<CheckInput, ScratchWork> = {
  name: 'migration.check',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'up and down and up',
  open: async (tools, operation) => {
    const server = await mustFind(tools, operation.input.serverId)
    return new ScratchWork(operation, tools, await tools.engine(server.engine), await serverAccess(tools.keys, server))
  },
  steps: [
    {
      name: 'make logins',
      act: ({ session, names, passwords }) => session.makeLogins({ names, passwords, limits }),
      undo: ({ session, names }) => session.dropLogins(names)
    },
    {
      name: 'up and down and up',
      act: tryOut,
      undo: ({ session, names }) => session.dropDatabase(names)
    },
    { name: 'drop database', act: ({ session, names }) => session.dropDatabase(names) },
    { name: 'drop logins', act: ({ session, names }) => session.dropLogins(names) }
  ]
}

/** From an empty database, whatever an earlier try left. What it finds is thrown, so that it stands in the ledger. */
async function tryOut(work: ScratchWork, progress: (sentence: string) => void): Promise<void> {
  const { session, names, engine, tools } = work
  const { databaseId, template, checksum } = work.operation.input
  const content = await readTemplate(tools.folders.templates, template)
  if (content.checksum !== checksum) {
    throw new SaasctlError('MIGRATION_CHANGED', `The files of template ${template} changed while they were checked.`, {
      hint: 'Check them again.'
    })
  }
  const owner = { login: names.logins.owner, password: work.passwords.owner }
  await session.setPasswords(names, { owner: owner.password })
  await session.dropDatabase(names)
  await session.makeDatabase(names)
  await session.guardDatabase(names)
  await session.furnishDatabase({ names, databaseId, owner })
  const inside = await session.enterDatabase(names, owner)
  try {
    const files = content.migrations[engine.name] ?? []
    const seeds = content.template.engines[engine.name]?.seeds ?? []
    const findings = await roundTrip(inside, { files, seeds, progress })
    if (findings.length > 0) {
      throw new SaasctlError('CHECK_FOUND', `The migrations of template ${template} do not go up, down and up.`, {
        data: { findings }
      })
    }
  } finally {
    await inside.end()
  }
}

async function mustFind({ catalog }: Tools, serverId: string): Promise<ServerRow> {
  const server = await serverById(catalog, serverId)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${serverId}.`)
  return server
}
