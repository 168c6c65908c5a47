import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { SaasctlError } from '../errors.js'

/** The first certificate of a text, without what stands beside it: people keep their private key in the same file. INVALID_INPUT when there is none. */
export function certificateIn(text: string): string {
  try {
    return new X509Certificate(text).toString()
  } catch (cause) {
    throw noCertificate(cause)
  }
}

export function noCertificate(cause?: unknown): SaasctlError {
  return new SaasctlError('INVALID_INPUT', 'The file holds no certificate in PEM.', {
    hint: 'Give the X.509 certificate of whoever is to read the export, not a bare public key.',
    cause
  })
}

/** Wraps a stream as CMS that the certificate's key alone opens, by openssl, as it flows. Ends only when all went well. */
export async function encryptTo(certificate: string, content: Readable, path: string): Promise<Readable> {
  const program = await findProgram('openssl', path)
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-'))
  const file = join(folder, 'recipient.pem')
  await writeFile(file, certificate, { mode: 0o600 })
  const args = ['cms', '-encrypt', '-binary', '-stream', '-outform', 'DER', '-aes256', file]
  const child = spawn(program, args, { cwd: '/', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, stdio: 'pipe' })
  const output = new PassThrough()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000)
  })
  // A program that ends early closes its pipe; how it ended is the news.
  child.stdin.on('error', () => {})
  child.on('error', error => output.destroy(error))
  child.on('close', code => {
    void rm(folder, { recursive: true, force: true })
    if (code === 0) output.end()
    else output.destroy(content.errored ?? refused(said))
  })
  content.on('error', () => child.kill())
  output.on('close', () => {
    content.destroy()
    child.kill()
  })
  child.stdout.pipe(output, { end: false })
  content.pipe(child.stdin)
  return output
}

function refused(said: string): SaasctlError {
  const reason = said.trim().split('\n').at(-1)?.slice(0, 200)
  return new SaasctlError('FAILED', `openssl did not encrypt the export: ${reason || 'it ended early'}.`, {
    hint: 'Look whether the certificate is one for RSA or elliptic curves that openssl can encrypt to.'
  })
}

async function findProgram(name: string, path: string): Promise<string> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const found = join(folder, name)
    const runs = await access(found, constants.X_OK).then(
      () => true,
      () => false
    )
    if (runs) return found
  }
  throw new SaasctlError('TOOL_MISSING', `There is no ${name} on this machine.`, {
    hint: `Install the package ${name}.`
  })
}
