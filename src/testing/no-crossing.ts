import { randomBytes } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

export interface NoCrossing {
  /** At least two. */
  tenants: readonly string[]
  /** Has the application store the mark as this tenant: in a name or a note that `read` shows again. Gives its answer. */
  write(tenant: string, mark: string): Promise<unknown>
  /** Asks the application, as this tenant, for what should hold the tenant's marks and nobody else's; any text. */
  read(tenant: string): Promise<string>
  /** Reads in all; 1,000. */
  requests?: number
  /** Reads at once; 32. */
  concurrency?: number
}

/** One write to so many reads. */
const WRITE_EVERY = 25

/**
 * Plants a mark in each tenant, then reads as all of them at once, in random order, with more marks written in between. Every
 * answer must hold a mark of the tenant that asked and of no other. CHECK_FOUND names the first crossing; when it is thrown,
 * nothing is under way any more.
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
  let asked = 0
  const plant = async (tenant: string) => checkStored(tenant, await write(tenant, marks.get(tenant) ?? ''))
  const look = async (tenant: string) => {
    asked += 1
    const request = asked
    check(tenant, await read(tenant), marks, request)
  }
  for (const tenant of tenants) await plant(tenant)
  for (const tenant of tenants) await look(tenant)
  const order = shuffled(Array.from({ length: requests }, (_, index) => tenants[index % tenants.length] ?? ''))
  await atOnce(concurrency, order, async (tenant, index) => {
    if (index % WRITE_EVERY === WRITE_EVERY - 1) await plant(tenant)
    await look(tenant)
  })
  // Where the last marks went.
  for (const tenant of tenants) await look(tenant)
  return { requests: asked }
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
    `Request ${request} was asked as ${tenant} and did not show what ${tenant} has stored: ${quoteInput(text)}.`,
    {
      hint: 'Either `read` does not show what `write` stores, or the answer came from somewhere else.',
      data: { asked: tenant, request }
    }
  )
}

/** An answer with a status is Fastify's `inject` or `fetch`; a mark that was refused would look like one that was lost. */
function checkStored(tenant: string, answer: unknown): void {
  const { statusCode, status = statusCode } = Object(answer) as { statusCode?: unknown; status?: unknown }
  if (typeof status !== 'number' || status < 400) return
  throw new SaasctlError(
    'CHECK_FOUND',
    `The application answered ${status} when it was to store a mark as ${tenant}.`,
    {
      hint: 'Look at what `write` sends, and for a connection that is kept from another request.',
      data: { asked: tenant, status }
    }
  )
}

/** As many at once as there are lanes. After the first failure, which is thrown, nothing new begins. */
async function atOnce(lanes: number, items: string[], work: (item: string, index: number) => Promise<void>) {
  let next = 0
  let failure: { error: unknown } | undefined
  const lane = async () => {
    for (let index = next++; index < items.length && !failure; index = next++) {
      await work(items[index] ?? '', index).catch((error: unknown) => {
        failure ??= { error }
      })
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  if (failure) throw failure.error
}

function shuffled(list: string[]): string[] {
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1))
    const kept = list[index] ?? ''
    list[index] = list[other] ?? ''
    list[other] = kept
  }
  return list
}
