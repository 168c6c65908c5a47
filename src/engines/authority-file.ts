import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The PEM of an authority as a private file, for programs that take nothing else. Undefined when there is none. */
export async function authorityFile(
  pem: string | undefined
): Promise<{ path: string | undefined; remove: () => Promise<void> }> {
  if (pem === undefined) return { path: undefined, remove: async () => undefined }
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-'))
  const path = join(folder, 'ca.pem')
  await writeFile(path, pem, { mode: 0o600 })
  return { path, remove: () => rm(folder, { recursive: true, force: true }) }
}
