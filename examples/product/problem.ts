/**
 * Something that the caller can put right. Fastify answers with its `statusCode`, `code` and `message`, which is the form of
 * the router's own answers too, so that clients read one form.
 */
export class Problem extends Error {
  readonly statusCode: number
  readonly code: string

  constructor(statusCode: number, code: string, message: string) {
    super(message)
    this.statusCode = statusCode
    this.code = code
  }
}

/** Gives what was found, or answers 404. */
export function found<T>(thing: T | null, what: string, id: string): T {
  if (thing === null) throw new Problem(404, 'NOT_FOUND', `There is no ${what} ${id}.`)
  return thing
}
