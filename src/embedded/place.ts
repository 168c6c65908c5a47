import { realpath } from 'node:fs/promises'
import { join } from 'node:path'

/** Everything of the embedded server is under here. */
export const NAME = 'embedded'

/** The folder of the embedded server, with links resolved; undefined when there is none yet. */
export function findPlace(home: string): Promise<string | undefined> {
  return realpath(join(home, NAME)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

export function dataDirOf(place: string): string {
  return join(place, 'cluster', 'data')
}
