import { join, relative } from 'node:path'
import { listServers, type ServerRow } from '../catalog/servers.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { loadTemplate, type Template } from '../templates/files.js'
import { checkFiles } from './check-files.js'
import { checkByRunning } from './check-run.js'
import type { FileFinding, MigrationFinding } from './finding.js'

export type { MigrationFinding } from './finding.js'

export interface CheckOptions extends Follow {
  /** Where the scratch database is made; by default on the first active server of each of the template's engines. */
  server?: string | undefined
}

/**
 * Reads a template's migrations, lints them, compares them with what was applied anywhere, and runs them up, down and up
 * with their seeds on a scratch database that is dropped afterwards. What is wrong with the files is returned, not thrown.
 */
export async function checkMigrations(
  context: Context,
  name: string,
  { server, ...follow }: CheckOptions = {}
): Promise<{ findings: MigrationFinding[] }> {
  const template = await loadTemplate(context.folders.templates, name)
  const servers = await scratchServers(context, template, server)
  const findings: MigrationFinding[] = []
  for (const engine of enginesOf(template)) {
    findings.push(...placed(context, template, engine, await checkFiles(context, template, engine)))
  }
  if (findings.some(({ code }) => code === 'file.unreadable')) return { findings }
  for (const engine of enginesOf(template)) {
    if (server !== undefined && !servers.has(engine)) continue
    const found = await checkByRunning(context, template, engine, servers.get(engine), follow)
    findings.push(...placed(context, template, engine, found))
  }
  return { findings }
}

const enginesOf = ({ engines }: Template) => Object.keys(engines) as EngineName[]

/** With the engine, and with paths as somebody in the project's folder would type them. */
function placed(
  { folders }: Context,
  template: Template,
  engine: EngineName,
  found: FileFinding[]
): MigrationFinding[] {
  return found.map(({ file, ...finding }) => {
    const folder = finding.code === 'seed' ? folders.templates : (template.engines[engine]?.migrations ?? '')
    return { ...finding, engine, ...(file !== undefined && { file: relative(folders.project, join(folder, file)) }) }
  })
}

/** One server for each engine of the template, or the one that was asked for. */
async function scratchServers(
  context: Context,
  template: Template,
  name: string | undefined
): Promise<Map<EngineName, ServerRow>> {
  const all = (await listServers(context.catalog)).filter(({ engine }) => template.engines[engine])
  const wanted = all.filter(server => (name === undefined ? server.status === 'active' : server.name === name))
  if (name !== undefined && wanted.length === 0) {
    throw new SaasctlError(
      'SERVER_NOT_FOUND',
      `No server ${quoteInput(name)} has an engine of template ${template.name}.`,
      {
        hint: 'List them with "saasctl server list".'
      }
    )
  }
  return new Map(wanted.toReversed().map(server => [server.engine, server]))
}
