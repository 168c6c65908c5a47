import { type ScratchInput, ScratchWork, scratchLimits, scratchServer } from '../databases/scratch.js'
import { SaasctlError } from '../errors.js'
import type { Kind } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { roundTrip } from './round-trip.js'

interface CheckInput extends ScratchInput {
  template: string
  checksum: string
}

/** Runs a template's migrations up, down and up on a database of their own, of which nothing stays, whatever happens. */
export const migrationCheck: Kind<CheckInput, ScratchWork<CheckInput>> = {
  name: 'migration.check',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'up and down and up',
  open: async (tools, operation) => {
    const { engine, access } = await scratchServer(tools, operation.input.serverId)
    return new ScratchWork(operation, tools, engine, access)
  },
  steps: [
    {
      name: 'make logins',
      act: ({ session, names, passwords }) => session.makeLogins({ names, passwords, limits: scratchLimits }),
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
async function tryOut(work: ScratchWork<CheckInput>, progress: (sentence: string) => void): Promise<void> {
  const { session, names, engine, tools, owner } = work
  const { databaseId, template, checksum } = work.operation.input
  const content = await readTemplate(tools.folders.templates, template)
  if (content.checksum !== checksum) {
    throw new SaasctlError('MIGRATION_CHANGED', `The files of template ${template} changed while they were checked.`, {
      hint: 'Check them again.'
    })
  }
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
