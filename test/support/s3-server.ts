import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { scratch } from './servers.js'

/** A local S3 with one bucket, and the settings that lead to it. */
export interface S3Server {
  bucket: string
  port: number
  /** Uploads that were begun and neither finished nor given up. */
  uploads(): Promise<string[]>
  env(port?: number): Record<string, string>
  close(): Promise<void>
}

interface S3rver {
  configureBuckets(): Promise<unknown>
  callback(): (request: IncomingMessage, response: ServerResponse) => void
}

const bucket = 'backups-of-tests'

/** s3rver, with the two verbs that it lacks: to list what was begun, and to give it up. */
export async function startS3(): Promise<S3Server> {
  const directory = await mkdtemp(join(scratch, 'saasctl-s3.'))
  const { default: S3 } = { default: createRequire(import.meta.url)('s3rver') as new (options: object) => S3rver }
  const s3 = new S3({ directory, silent: true, configureBuckets: [{ name: bucket }] })
  await s3.configureBuckets()
  const begun = join(directory, bucket, '._S3rver_uploads')
  await mkdir(begun, { recursive: true })
  const uploads = async () => {
    const ids = await readdir(begun)
    // One that was cut off before its key was written has a folder, and is none.
    const keyed = await Promise.all(ids.map(id => stat(join(begun, id, 'key')).then(Boolean, () => false)))
    return ids.filter((_, index) => keyed[index])
  }
  const rest = s3.callback()
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://s3')
    const uploadId = url.searchParams.get('uploadId')
    if (request.method === 'GET' && url.searchParams.has('uploads')) {
      response.setHeader('content-type', 'application/xml').end(await listing(begun, await uploads()))
    } else if (request.method === 'DELETE' && uploadId !== null) {
      await rm(join(begun, uploadId), { recursive: true, force: true })
      response.writeHead(204).end()
    } else rest(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    bucket,
    port,
    uploads,
    env: (at = port) => ({
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${at}`,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'S3RVER',
      AWS_SECRET_ACCESS_KEY: 'S3RVER'
    }),
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      await rm(directory, { recursive: true, force: true })
    }
  }
}

async function listing(folder: string, ids: string[]): Promise<string> {
  const rows = await Promise.all(ids.map(id => row(folder, id)))
  return `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${rows.join('')}</ListMultipartUploadsResult>`
}

/** Nothing for one that s3rver was cut off from beginning: it has a folder, and no key in it. */
async function row(folder: string, id: string): Promise<string> {
  try {
    const path = join(folder, id, 'key')
    const [key, { mtime }] = [await readFile(path, 'utf8'), await stat(path)]
    return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${mtime.toISOString()}</Initiated></Upload>`
  } catch {
    return ''
  }
}
