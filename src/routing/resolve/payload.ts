/** The name of a claim, or the path to one inside another: `tid`, `['app_metadata', 'tenant']`. */
export type ClaimPath = string | readonly string[]

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The claim's value; undefined when it or what should hold it is not there. Inherited properties are no claims. */
export function claimIn(payload: unknown, path: ClaimPath): unknown {
  let value = payload
  for (const name of typeof path === 'string' ? [path] : path) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

export function isClaimPath(path: unknown): path is ClaimPath {
  const names = Array.isArray(path) ? path : [path]
  return names.length > 0 && names.every(name => typeof name === 'string' && name !== '')
}

/** Freezes what JSON made, all the way down: requests with the same token share it. */
export function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}

/** Whether an `aud` claim, a string or an array of strings, names one of the audiences. */
export function isFor(aud: unknown, audiences: readonly string[]): boolean {
  return (Array.isArray(aud) ? aud : [aud]).some(one => typeof one === 'string' && audiences.includes(one))
}
