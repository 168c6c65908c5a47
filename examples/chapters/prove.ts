import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import {
  createExport,
  makeCheckpoint,
  ownKeys,
  type Saasctl,
  SaasctlError,
  verifyExport,
  verifyTrail,
  writeCheckpoint
} from '../../src/index.js'
import type { Narrator } from '../narrator.js'

const run = promisify(execFile)

/** What an auditor gets, and what proves it: first with saasctl, then with nothing of ours. Says where the proofs lie. */
export async function proveChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<string> {
  chapter('An auditor wants proof')
  const { project, home } = saasctl.config
  const folder = join(home, 'story', 'audit')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const bag = join(folder, 'acme')
  const key = join(folder, 'signing.pem')

  await tell(
    () => createExport(saasctl, 'acme', wishFor(bag), { wait: true }),
    `acme’s data is exported as of one moment, signed, to ${relative(project, bag)}/.`
  )
  const pem = (await ownKeys(saasctl.keys)).at(-1)?.publicKey ?? ''
  await writeFile(key, pem)
  await tell(
    () => verifyExport(bag, pem),
    ({ intact, signer, files, says }) =>
      `saasctl verifies it: ${must(intact && signer === 'signed') && 'intact, signed with the key'}; ${files} files, ${says?.tables} tables, ${says?.rows.toLocaleString('en')} rows.`
  )
  await withoutUs(bag, key, { say, tell })
  await tell(
    () => withOneByteFlipped(join(bag, 'data', 'tables', 'customers.csv'), () => verifyExport(bag, pem)),
    ({ intact, problems }) =>
      `One byte is flipped, and it says so: ${must(!intact) && problems[0]?.file} ${problems[0]?.problem}.`
  )

  const checkpoint = join(folder, 'checkpoint')
  const { number } = await tell(
    async () => {
      const row = await makeCheckpoint(saasctl)
      await writeCheckpoint(saasctl.catalog, row, checkpoint)
      return row
    },
    ({ number }) =>
      `Checkpoint ${number} signs where every chain of the audit trail ends; it is kept outside of the catalog.`
  )
  await tell(
    async () => verifyTrail(saasctl.catalog, { keys: await ownKeys(saasctl.keys) }),
    ({ findings, events, chains, upTo }) =>
      `The trail is verified: ${events} events in ${chains} chains, ${must(findings.length === 0 && upTo?.number === number) && 'none edited, none missing'}.`
  )
  return relative(project, folder)
}

const wishFor = (bag: string) => ({
  formats: ['jsonl' as const, 'csv' as const],
  container: 'folder' as const,
  target: pathToFileURL(bag).href,
  masked: false,
  certificate: null,
  reason: 'the yearly audit'
})

/** The same with coreutils and openssl, where the machine has them. */
async function withoutUs(bag: string, key: string, { say, tell }: Pick<Narrator, 'say' | 'tell'>): Promise<void> {
  const sums = ['--check', '--strict', '--quiet']
  const signature = ['-rawin', '-in', 'attestation.pae', '-sigfile', 'attestation.sig']
  try {
    await tell(async () => {
      await run('sha512sum', [...sums, 'manifest-sha512.txt'], { cwd: bag })
      await run('sha512sum', [...sums, 'tagmanifest-sha512.txt'], { cwd: bag })
      await run('openssl', ['pkeyutl', '-verify', '-pubin', '-inkey', key, ...signature], { cwd: bag })
    }, 'sha512sum and openssl, which have never heard of saasctl, say the same.')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    say('NO SHA512SUM OR NO OPENSSL ON THIS MACHINE: they would say the same.')
  }
}

async function withOneByteFlipped<T>(file: string, look: () => Promise<T>): Promise<T> {
  const written = await readFile(file)
  const flipped = Buffer.from(written)
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 2) ^ 1, flipped.length - 2)
  await writeFile(file, flipped)
  try {
    return await look()
  } finally {
    await writeFile(file, written)
  }
}

/** The story claims nothing that it has not seen. */
function must(seen: boolean): true {
  if (seen) return true
  throw new SaasctlError('FAILED', 'What was to be proven was not.')
}
