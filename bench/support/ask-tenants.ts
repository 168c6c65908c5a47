import type { Tenants } from '../../src/router.js'

export const noteById = 'select id, body from notes where id = $1'
export const someNote = () => 1 + Math.floor(Math.random() * 1_000)

export interface Load {
  slugs: string[]
  /** The index of the tenant that is asked next. */
  next: () => number
  clients: number
  milliseconds: number
}

export interface Asked {
  done: number
  /** What failed, by its code, and how often. */
  errors: Record<string, number>
}

/** So many clients, each with one request after the other, for so long. */
export async function askTenants(tenants: Tenants, { slugs, next, clients, milliseconds }: Load): Promise<Asked> {
  const until = performance.now() + milliseconds
  const asked: Asked = { done: 0, errors: {} }
  const client = async () => {
    while (performance.now() < until) {
      try {
        await tenants.use(slugs[next()] ?? '', async ({ db }) => (await db()).query(noteById, [someNote()]))
      } catch (error) {
        const { code, message } = error as Error & { code?: string }
        const what = code ?? message
        asked.errors[what] = (asked.errors[what] ?? 0) + 1
      }
      asked.done += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return asked
}

/** What failed in all of these. */
export function errorsOf(all: readonly Asked[]): Record<string, number> {
  const errors: Record<string, number> = {}
  for (const asked of all) {
    for (const [what, count] of Object.entries(asked.errors)) errors[what] = (errors[what] ?? 0) + count
  }
  return errors
}
