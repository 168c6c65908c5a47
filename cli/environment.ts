/** What the user's own environment says: for flags, and for the programs that a command starts. Settings are src/config.ts's. */
export const environment: Readonly<Record<string, string | undefined>> = process.env

/** What a program that we start may see: everything but our own settings, for there are keys and passwords among them. */
export function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.startsWith('SAASCTL_') || value === undefined ? [] : [[name, value]]
    )
  )
}
