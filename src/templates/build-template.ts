import { isOver } from '../catalog/operations.js'
import { listServers, type ServerRow } from '../catalog/servers.js'
import { setWarmTarget, type WarmTarget } from '../catalog/warm.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startBuild } from './build.js'
import { followAll } from './follow-all.js'
import { currentPlan, type KeptTemplate, readTemplate, registerTemplate } from './register.js'
import { fillWarm, refreshWarm } from './warm.js'

export interface BuildWish {
  /** One server; by default every active one that the template fits. */
  server?: string | undefined
  /** Builds although the present version is there. */
  again: boolean
  /** How many warm databases there shall be on each server from now on; workers keep the number. Undefined leaves it. */
  warm: number | undefined
  /** The plan whose limits the warm ones get; by default the template's own. */
  plan?: string | undefined
}

export interface BuiltLine {
  server: string
  version: number
  /** False when the present version was there already. */
  built: boolean
  /** Warm databases that were made, and that were brought to this version. */
  warmed: number
  refreshed: number
}

/**
 * Makes what the files say the version that new tenants start from: takes it into the catalog, builds its database on each
 * server, brings warm databases to it and fills their number. Repeating it does only what is missing.
 */
export async function buildTemplate(
  context: Context,
  name: string,
  wish: BuildWish,
  wait: Follow & { wait: boolean }
): Promise<BuiltLine[]> {
  const content = await readTemplate(context.folders.templates, name)
  const servers = await fittingServers(context, wish.server, Object.keys(content.template.engines) as EngineName[])
  const plan = await currentPlan(context, wish.plan ?? content.template.defaultPlan)
  const template = await registerTemplate(context, content)
  const lines: BuiltLine[] = []
  for (const server of servers) {
    const built = await buildOn(context, server, template, wish.again, wait)
    if (wish.warm !== undefined) {
      await wantWarm(context, { template: name, serverId: server.id, plan: plan.name, wanted: wish.warm })
    }
    const refreshed = await refreshWarm(context, server, template)
    const warmed = await fillWarm(context, server, template, plan, wish.warm ?? 0)
    if (wait.wait) await followAll(context, [...refreshed, ...warmed], wait)
    lines.push({
      server: server.name,
      version: template.version,
      built,
      warmed: warmed.length,
      refreshed: refreshed.length
    })
  }
  return lines
}

async function wantWarm({ catalog, actor }: Context, target: WarmTarget): Promise<void> {
  await catalog.transaction(actor, async tx => {
    await setWarmTarget(tx, target)
    tx.audit({
      chain: 'template',
      action: 'template.warm',
      subject: `server:${target.serverId}`,
      payload: { ...target }
    })
  })
}

async function buildOn(
  context: Context,
  server: ServerRow,
  template: KeptTemplate,
  again: boolean,
  wait: Follow & { wait: boolean }
): Promise<boolean> {
  const claim = await context.operations.claim(wait.wait)
  const operation = await context.catalog.transaction(context.actor, tx =>
    startBuild(tx, context, server, template, { claim, again })
  )
  if (operation && wait.wait && !isOver(operation.status)) await context.operations.follow(operation, wait)
  return operation !== undefined
}

async function fittingServers(context: Context, name: string | undefined, engines: EngineName[]): Promise<ServerRow[]> {
  const all = await listServers(context.catalog)
  const chosen = all.filter(server => (name === undefined ? server.status === 'active' : server.name === name))
  const fitting = chosen.filter(server => engines.includes(server.engine))
  if (fitting.length > 0) return fitting
  if (name !== undefined && chosen.length === 0) {
    throw new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(name)}.`, {
      hint: 'See "saasctl server list".'
    })
  }
  throw new SaasctlError('NO_SERVER', `No active server has one of the template’s engines (${engines.join(', ')}).`, {
    hint: 'Add one with "saasctl server add".'
  })
}
