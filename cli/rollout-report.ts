import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { SaasctlError } from '../src/errors.js'
import type { RolloutView } from '../src/rollouts/control.js'
import type { Session } from './session.js'

export interface ReportFlags {
  report?: string
  junit?: string
}

export function reportFlags(command: Command): Command {
  return command
    .option('--report <file>', 'write what became of it as JSON, every failed tenant with reason and next action')
    .option('--junit <file>', 'the same as JUnit XML, for CI')
}

/** Refuses files that could not be written, before anything is done that they should tell of. */
export async function checkReports({ report, junit }: ReportFlags): Promise<void> {
  for (const file of [report, junit]) if (file !== undefined) await write(file, undefined)
}

export async function writeReports(session: Session, flags: ReportFlags, view: RolloutView): Promise<void> {
  const { reportOf, eachTarget, failedTenant } = await import('../src/rollouts/report.js')
  const report = reportOf(view)
  if (flags.report !== undefined) await write(flags.report, [`${JSON.stringify(report, null, 2)}\n`])
  if (flags.junit === undefined) return
  const { junit } = await import('./junit.js')
  const targets = eachTarget(session.saasctl.catalog, report.id)
  await write(
    flags.junit,
    junit(report, targets, target => failedTenant(target, report.id).next)
  )
}

/** Written beside it and renamed: nobody reads half of one. Without pieces it is only tried. */
async function write(file: string, pieces: AsyncIterable<string> | string[] | undefined): Promise<void> {
  const beside = `${file}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const handle = await open(beside, 'wx', 0o644)
    try {
      for await (const piece of pieces ?? []) await handle.write(piece)
    } finally {
      await handle.close()
    }
    if (pieces) await rename(beside, file)
  } catch (error) {
    if (error instanceof SaasctlError) throw error
    throw new SaasctlError('INVALID_INPUT', `The report cannot be written to ${file}: ${(error as Error).message}.`, {
      hint: 'Name a file in a folder that is there and may be written to.',
      cause: error
    })
  } finally {
    await rm(beside, { force: true })
  }
}
