import { fileURLToPath } from 'node:url'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Secret } from '../secret.js'
import type { Store, Stores } from './store.js'

/** For `s3://` alone; what is null is left to the AWS library: its environment, profiles and roles. */
export interface S3Access {
  endpoint: string | null
  region: string | null
  accessKey: string | null
  secretKey: Secret | null
  sessionToken: Secret | null
}

/** Stores by address; each is opened once. Nothing is touched before the first verb. */
export function openStores(usual: string, access: S3Access): Stores {
  const opened = new Map<string, Promise<Store>>()
  return {
    usual,
    open: async url => {
      const store = opened.get(url) ?? openStore(url, access)
      opened.set(url, store)
      return await store
    }
  }
}

/** CONFIG_INVALID for an address that is none. Libraries load here: the AWS one costs more than all the rest. */
export async function openStore(url: string, access: S3Access): Promise<Store> {
  const { scheme, bucket, path } = parseStore(url)
  if (scheme === 'file') {
    const { FileStore } = await import('./file.js')
    return new FileStore(path)
  }
  const [{ s3Client }, { S3Store }] = await Promise.all([import('./s3-client.js'), import('./s3.js')])
  return new S3Store(s3Client(access), bucket, path)
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const PREFIX = /^(?:[\w-]+(?:\.[\w-]+)*(?:\/[\w-]+(?:\.[\w-]+)*)*)?$/

/** The parts of a store's address. A password has no place in it, nor has anything after a `?` or `#`. */
export function parseStore(url: string): { scheme: 'file' | 's3'; bucket: string; path: string } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed && parsed.search === '' && parsed.hash === '' && parsed.username === '' && parsed.password === '') {
    const prefix = parsed.pathname.replace(/^\/|\/$/g, '')
    if (parsed.protocol === 'file:' && parsed.host === '' && prefix !== '') {
      return { scheme: 'file', bucket: '', path: fileURLToPath(parsed) }
    }
    if (parsed.protocol === 's3:' && parsed.port === '' && BUCKET.test(parsed.hostname) && PREFIX.test(prefix)) {
      return { scheme: 's3', bucket: parsed.hostname, path: prefix }
    }
  }
  throw new SaasctlError('CONFIG_INVALID', `${quoteInput(url)} is not a store.`, {
    hint: 'Write file:///FOLDER or s3://BUCKET/PREFIX, without keys in it.'
  })
}
