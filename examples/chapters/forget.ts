import { listOperators } from '../../src/catalog/operators.js'
import {
  approvable,
  approve,
  askErase,
  askHold,
  askRelease,
  backupTenant,
  createOperator,
  findCertificate,
  purgeTenant,
  renewToken,
  restoreAs,
  type Saasctl,
  SaasctlError
} from '../../src/index.js'
import { enterTenant } from '../cast.js'
import type { Narrator } from '../narrator.js'

const wait = { wait: true }
const slug = 'hooli'

/** A legal hold that stops a deletion, and an erasure that nothing brings back; both take two people. */
export async function forgetChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<void> {
  chapter('hooli must be kept, and then must be forgotten')
  if (!saasctl.embedded) return say('The configured catalog has its own operators: none is added to it for a story.')
  const ada = await operator(saasctl, 'story-ada')
  const grace = await operator(saasctl, 'story-grace')
  try {
    const { tenant } = await tell(
      () => enterTenant(saasctl, { slug, engine: 'postgres' }),
      'hooli is created; ada and grace are operators, each with a token.'
    )
    const { backupId } = await tell(() => backupTenant(saasctl, slug, wait), 'It is backed up.')
    const hold = await askHold(ada, slug, 'litigation')
    const itself = await refused(() => approve(ada, hold.id, approvable, wait))
    await tell(
      () => approve(grace, hold.id, approvable, wait),
      `ada asks for a legal hold ("${itself}"), and grace approves.`
    )
    await tell(
      () => refused(() => purgeTenant(ada, slug, wait)),
      message => `Deleting it for good is refused: "${message}".`
    )
    const release = await askRelease(grace, slug, 'settled')
    await tell(() => approve(ada, release.id, approvable, wait), 'grace asks for its release, ada approves.')

    const erasure = await askErase(ada, slug, 'their request')
    await tell(
      () => approve(grace, erasure.id, approvable, wait),
      'ada asks for its erasure, grace approves: logins, database, backups and key go, and what the trail said of it.'
    )
    await tell(
      () => refused(() => restoreAs(saasctl, tenant.id, { as: 'hooli-again', backup: backupId }, wait)),
      message => `Its backup brings nothing back: "${message}".`
    )
    const { body, keyId } = await findCertificate(saasctl.catalog, tenant.id)
    const { verified, notCovered } = JSON.parse(body) as { verified: string[]; notCovered: string[] }
    say(
      `A certificate, signed with key ${keyId}, says what was verified (${verified.length} things) and what it does not cover (${notCovered.length}).`
    )
  } finally {
    // While an admin has a token, nobody changes anything without one: the reader is to try commands.
    for (const name of ['story-ada', 'story-grace'])
      await renewToken(saasctl, name, { lifeSeconds: 0, overlapSeconds: 0 })
  }
  say('The tokens of ada and grace end here.')
}

/** The same control plane in the name of somebody who is proven. */
async function operator(saasctl: Saasctl, name: string): Promise<Saasctl> {
  const token = { lifeSeconds: 60, overlapSeconds: 0 }
  const known = (await listOperators(saasctl.catalog)).some(one => one.name === name)
  const { operator } = await (known
    ? renewToken(saasctl, name, token)
    : createOperator(saasctl, { name, role: 'admin', ...token }))
  const actor = { name, proof: 'proven', operatorId: operator.id } as const
  return { ...saasctl, actor, caller: { actor, role: 'admin' } }
}

async function refused(act: () => Promise<unknown>): Promise<string> {
  try {
    await act()
  } catch (error) {
    return (error as Error).message
  }
  throw new SaasctlError('FAILED', 'What had to be refused was done.')
}
