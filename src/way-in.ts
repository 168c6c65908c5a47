import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Config } from './config.js'
import type { EmbeddedServer } from './embedded/embedded.js'
import { SaasctlError } from './errors.js'
import { Secret } from './secret.js'
import type { KeyStore } from './secrets/keystore.js'
import { openKeyStore } from './secrets/open-keystore.js'
import { openStores } from './stores/open.js'
import type { Stores } from './stores/store.js'

/** How a program gets to its catalog. */
export interface WayIn {
  url: string
  /** The server that was started for it, when no catalog is configured. */
  embedded: EmbeddedServer | undefined
}

/** The configured catalog's address with its password, or the embedded catalog's, whose server is started when it must be. */
export async function wayIn(config: Config, report: (sentence: string) => void = () => {}): Promise<WayIn> {
  if (config.catalog !== null) return { url: configuredUrl(config, config.catalog), embedded: undefined }
  const embedded = await startEmbedded(config, report)
  const { embeddedCatalogUrl } = await import('./embedded/catalog.js')
  return { url: await embeddedCatalogUrl(config.home, embedded, report), embedded }
}

/** The keys' home. One instance per process: it caches the masters. */
export function keyStore(config: Config): KeyStore {
  const masters = {
    ...(config.controlKey && { control: config.controlKey }),
    ...(config.routingKey && { routing: config.routingKey })
  }
  // A router that is given its key in the environment needs no folder.
  const usual = config.routingKey ? 'env' : `file:${join(config.home, 'keys')}`
  return openKeyStore(config.keyStore ?? usual, masters)
}

/** Where backups and exports are kept: opened when used. */
export function stores(config: Config): Stores {
  return openStores(config.store ?? pathToFileURL(join(config.home, 'store')).href, {
    endpoint: config.s3Endpoint,
    region: config.s3Region,
    accessKey: config.s3AccessKey,
    secretKey: config.s3SecretKey,
    sessionToken: config.s3SessionToken
  })
}

/** The operator's token, from the environment or its file. */
export function operatorToken(config: Config): Secret | null {
  if (config.token || config.tokenFile === null) return config.token
  return new Secret(readSecretFile(config.tokenFile, 'The operator’s token file', 'SAASCTL_TOKEN_FILE or --token-file'))
}

function configuredUrl(config: Config, catalog: string): string {
  const url = new URL(catalog)
  const password =
    config.catalogPassword?.reveal() ??
    (config.catalogPasswordFile &&
      readSecretFile(config.catalogPasswordFile, 'The catalog’s password file', 'SAASCTL_CATALOG_PASSWORD_FILE'))
  if (password) url.password = encodeURIComponent(password)
  return url.href
}

function readSecretFile(path: string, what: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new SaasctlError('CONFIG_INVALID', `${what} ${path} cannot be read.`, {
      hint: `Check ${setting}.`,
      cause: error
    })
  }
}

async function startEmbedded(config: Config, report: (sentence: string) => void): Promise<EmbeddedServer> {
  if (config.production && !config.embedded) {
    throw new SaasctlError(
      'EMBEDDED_REFUSED',
      'The embedded server is not for production, and no catalog is configured.',
      {
        hint: 'Set SAASCTL_CATALOG_URL; or allow it with --embedded.'
      }
    )
  }
  const { embedded } = await import('./embedded/embedded.js')
  return embedded(config.home, { path: config.path }).ensure(report)
}
