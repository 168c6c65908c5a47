import type { RouterOptions } from '../../src/router.js'
import { type Child, startRouterProcess } from './child.js'

export interface Answer {
  status: number
  retryAfter: string | null
  body: Record<string, unknown>
}

/** A router in a process of its own, and a way to ask it. */
export interface RouterProcess extends Child {
  ask(slug: string, path?: string): Promise<Answer>
}

export async function routerProcess(
  env: Record<string, string>,
  options: Partial<RouterOptions> = {}
): Promise<RouterProcess> {
  const child = startRouterProcess(env, options)
  const { port } = await child.says(line => line.port !== undefined)
  return {
    ...child,
    ask: async (slug, path = '/where') => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-tenant': slug } })
      const body = (await response.json()) as Record<string, unknown>
      return { status: response.status, retryAfter: response.headers.get('retry-after'), body }
    }
  }
}

/** Ends it and waits until it is gone. */
export async function endRouter(router: RouterProcess): Promise<void> {
  router.kill('SIGKILL')
  await router.ended
}
