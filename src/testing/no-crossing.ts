import { randomBytes } from 'node:crypto'
import { SaasctlError } from '../errors.js'

export interface NoCrossing {
  /** At least two. */
  tenants: readonly string[]
  /** Has the application store the mark as this tenant: in a name or a note that `read` shows again. */
  write(tenant: string, mark: string): Promise<unknown>
  /** Asks the application, as this tenant, for what should hold the tenant's marks and nobody else's; any text. */
  read(tenant: string): Promise<string>
  /** Reads in all; 1,000. */
  requests?: number
  /** Reads at once; 32. */
  concurrency?: number
}

/**
 * Plants a mark in each tenant, then reads as all of them at once, in random order, with more marks written in between. Every
 * answer must hold a mark of the tenant that asked and of no other. CHECK_FOUND names the first crossing.
 */
export async function assertNoCrossing({
  tenants,
  write,
  read,
  requests = 1000,
  concurrency = 32
}: NoCrossing): Promise<{ requests: number }> {
  if (new Set(tenants).size < 2) {
    throw new SaasctlError('USAGE', 'A crossing takes at least two tenants.', {
      hint: 'Name two or more in `tenants`.'
    })
  }
  const marks = new Map(tenants.map(tenant => [tenant, `mark-${randomBytes(8).toString('hex')}`]))
  for (const [tenant, mark] of marks) await write(tenant, mark)
  for (const tenant of tenants) check(tenant, await read(tenant), marks, 0)
  const order = Array.from({ length: requests }, (_, index) => tenants[index % tenants.length] ?? '')
  shuffle(order)
  let next = 0
  const lane = async () => {
    for (let index = next++; index < order.length; index = next++) {
      const tenant = order[index] ?? ''
      if (index % 50 === 25) await write(tenant, marks.get(tenant) ?? '')
      check(tenant, await read(tenant), marks, index + 1)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  return { requests: order.length + tenants.length }
}

function check(tenant: string, answer: string, marks: Map<string, string>, request: number): void {
  const text = String(answer)
  for (const [other, mark] of marks) {
    if (other !== tenant && text.includes(mark)) {
      throw new SaasctlError(
        'CHECK_FOUND',
        `Request ${request} was asked as ${tenant} and answered with data of ${other}.`,
        {
          hint: 'Look for a connection, cache entry or variable that two requests share.',
          data: { asked: tenant, answered: other, request }
        }
      )
    }
  }
  if (text.includes(marks.get(tenant) ?? '')) return
  throw new SaasctlError(
    'CHECK_FOUND',
    `Request ${request} was asked as ${tenant} and did not show what ${tenant} has stored.`,
    {
      hint: 'Either `read` does not show what `write` stores, or the answer came from somewhere else.',
      data: { asked: tenant, request }
    }
  )
}

function shuffle(list: string[]): void {
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1))
    const kept = list[index] ?? ''
    list[index] = list[other] ?? ''
    list[other] = kept
  }
}
