import { makeScratch, openScratch, type ScratchInput, ScratchWork, scratchSteps } from '../databases/scratch.js'
import { SaasctlError } from '../errors.js'
import type { Kind } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { roundTrip } from './round-trip.js'

/** Runs a template's migrations up, down and up on a database of their own, of which nothing stays, whatever happens. */
export const migrationCheck: Kind<ScratchInput, ScratchWork> = {
  name: 'migration.check',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'up and down and up',
  open: async (tools, operation) => new ScratchWork(operation, await openScratch(tools, operation.input)),
  steps: scratchSteps({ name: 'up and down and up', act: tryOut })
}

/** From an empty database, whatever an earlier try left. What it finds is thrown, so that it stands in the ledger. */
async function tryOut(work: ScratchWork, progress: (sentence: string) => void): Promise<void> {
  const { session, names, engine, tools } = work
  const { template, checksum } = work.operation.input
  const content = await readTemplate(tools.folders.templates, template)
  if (content.checksum !== checksum) {
    throw new SaasctlError('MIGRATION_CHANGED', `The files of template ${template} changed while they were checked.`, {
      hint: 'Check them again.'
    })
  }
  const inside = await session.enterDatabase(names, await makeScratch(work))
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
