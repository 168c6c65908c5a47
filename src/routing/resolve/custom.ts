import type { Claim, Source, SourceName } from './claim.js'
import { unusable } from './config.js'
import type { AnyRequest, RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'
import { tenantName } from './tenant-name.js'

export interface CustomOptions {
  /** The application has proven what it returns, for example from its own signed session. */
  verified?: boolean
}

const taken = new Set<SourceName>(['jwt', 'host', 'header', 'path'])

/**
 * A source of the application's own, under a name of its own: it finds an id, a slug or nothing. What it returns is
 * checked like any other value. What it throws ends the request as `failed`: the error goes to the log, never into the
 * answer.
 */
export function custom(
  name: string,
  find: (request: AnyRequest) => string | undefined | Promise<string | undefined>,
  { verified = false }: CustomOptions = {}
): Source {
  if (!/^[a-z][a-z0-9-]*$/.test(name) || taken.has(name)) {
    throw unusable(`custom: "${name}" is taken, or not a name of a-z, 0-9 and dashes.`)
  }

  function said(value: unknown): Claim | Refusal | undefined {
    if (value === undefined) return undefined
    const named = tenantName(value)
    return named
      ? { ...named, source: name, verified }
      : new Refusal('malformed', name, 'The source found no id or slug.')
  }
  const failed = (error: unknown) => new Refusal('failed', name, 'The source failed.', error)

  function claim({ request }: RequestFacts): Claim | Refusal | undefined | Promise<Claim | Refusal | undefined> {
    try {
      const found = find(request)
      return found instanceof Promise ? found.then(said, failed) : said(found)
    } catch (error) {
      return failed(error)
    }
  }

  return { name, proves: verified, claim }
}
