import type { Json } from '../canonical.js'
import type { OperationRow } from '../catalog/operations.js'
import { listServers } from '../catalog/servers.js'
import type { EngineName } from '../engines/engine.js'
import type { Kind, Tools, Work } from '../operations/kind.js'
import { startBuild } from '../templates/build.js'
import { readTemplate, registerTemplate } from '../templates/register.js'
import { mustFindRollout } from './find.js'
import { checkFiles, schemasOf } from './plan.js'

interface HeadInput extends Record<string, Json> {
  rolloutId: string
  template: string
}

interface HeadWork extends Work {
  tools: Tools
  operation: OperationRow<HeadInput>
}

/**
 * Builds the template's new version on every server after the whole fleet has it: from here on new tenants start there, and
 * the warm pool follows within a minute. Before that, no sign-up could have passed the canary by. A rollout that ended before the
 * newest file moves nothing: the template is built from all of them.
 */
export const rolloutHead: Kind<HeadInput, HeadWork> = {
  name: 'rollout.head',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'start',
  open: async (tools, operation) => ({ tools, operation }),
  steps: [{ name: 'move head', act: moveHead }]
}

async function moveHead({ tools, operation }: HeadWork, progress: (sentence: string) => void): Promise<void> {
  const { actor, input } = operation
  const rollout = await mustFindRollout(tools.catalog, input.rolloutId)
  const schemas = await schemasOf(tools, input.template)
  checkFiles(schemas, rollout.files, rollout.id)
  if ([...schemas].some(([engine, { files }]) => files.length > (rollout.files[engine]?.length ?? 0))) {
    progress('the template stays as it is: its files go further than this rollout did')
    return
  }
  const content = await readTemplate(tools.folders.templates, input.template)
  const template = await registerTemplate({ ...tools, actor }, content)
  const engines = Object.keys(content.template.engines) as EngineName[]
  for (const server of await listServers(tools.catalog)) {
    if (server.status !== 'active' || !engines.includes(server.engine)) continue
    await tools.catalog.transaction(actor, tx => startBuild(tx, { ...tools, actor }, server, template, { claim: null }))
  }
}
