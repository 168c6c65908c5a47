import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { duration } from './duration.js'
import { Secret } from './secret.js'
import { between, count, nameServers, osUser, path, postgresUrl, webAddress, yesOrNo } from './setting-parsers.js'

/** How one setting is read. `file` is its name in saasctl.json; a secret has none, because that file is committed. */
export interface Setting<T> {
  env: string
  file?: string
  parse(text: string, project: string): T
  fallback(project: string): T
  about: string
  secret?: true
}

const setting = <T>(row: Setting<T>): Setting<T> => row

/** The one table of settings. Flag beats environment beats file beats default; `config show` prints each with its source. */
export const settings = {
  catalog: setting<string | null>({
    env: 'SAASCTL_CATALOG_URL',
    file: 'catalog',
    parse: postgresUrl,
    fallback: () => null,
    about: 'The catalog: postgres://LOGIN@HOST:PORT/DATABASE. Without it, the embedded server.'
  }),
  catalogPassword: setting<Secret | null>({
    env: 'SAASCTL_CATALOG_PASSWORD',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The catalog login’s password, when it is not in SAASCTL_CATALOG_URL.',
    secret: true
  }),
  catalogPasswordFile: setting<string | null>({
    env: 'SAASCTL_CATALOG_PASSWORD_FILE',
    file: 'catalogPasswordFile',
    parse: path,
    fallback: () => null,
    about: 'A file that holds the catalog login’s password.'
  }),
  catalogAdmin: setting<Secret | null>({
    env: 'SAASCTL_CATALOG_ADMIN_URL',
    parse: text => new Secret(postgresUrl(text)),
    fallback: () => null,
    about:
      'The owner of the catalog’s database, a login with CREATEROLE: for "catalog migrate", "catalog credentials" and "catalog restore" alone.',
    secret: true
  }),
  embedded: setting<boolean>({
    env: 'SAASCTL_EMBEDDED',
    parse: yesOrNo,
    fallback: () => false,
    about: 'Allows the embedded server under NODE_ENV=production.'
  }),
  home: setting<string>({
    env: 'SAASCTL_HOME',
    file: 'home',
    parse: path,
    fallback: project => join(project, '.saasctl'),
    about: 'Where the embedded server and the keys are.'
  }),
  keyStore: setting<string | null>({
    env: 'SAASCTL_KEY_STORE',
    file: 'keyStore',
    parse: text => text,
    fallback: () => null,
    about: 'Where the keys are: "file:FOLDER" or "env". The default is the folder "keys" in the home.'
  }),
  controlKey: setting<Secret | null>({
    env: 'SAASCTL_CONTROL_KEY',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The control master key, 32 bytes in base64, for the key store "env".',
    secret: true
  }),
  routingKey: setting<Secret | null>({
    env: 'SAASCTL_ROUTING_KEY',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The routing master key, 32 bytes in base64, for the key store "env".',
    secret: true
  }),
  templates: setting<string>({
    env: 'SAASCTL_TEMPLATES',
    file: 'templates',
    parse: path,
    fallback: project => ownOrShipped(project, 'tenant-templates'),
    about: 'The folder of templates and plans.json.'
  }),
  template: setting<string>({
    env: 'SAASCTL_TEMPLATE',
    file: 'template',
    parse: text => text,
    fallback: () => 'standard',
    about: 'The template of a tenant that was made without one.'
  }),
  deleteGrace: setting<number>({
    env: 'SAASCTL_DELETE_GRACE',
    file: 'deleteGrace',
    parse: between('0s', '36500d'),
    fallback: () => duration('7d'),
    about: 'How long a deleted tenant can come back.'
  }),
  exportKeep: setting<number>({
    env: 'SAASCTL_EXPORT_KEEP',
    file: 'exportKeep',
    parse: between('1m', '36500d'),
    fallback: () => duration('30d'),
    about: 'How long an export stays in the store.'
  }),
  slugQuarantine: setting<number>({
    env: 'SAASCTL_SLUG_QUARANTINE',
    file: 'slugQuarantine',
    parse: between('0s', '36500d'),
    fallback: () => duration('30d'),
    about: 'How long a freed slug is kept back from others.'
  }),
  finalBackupKeep: setting<number>({
    env: 'SAASCTL_FINAL_BACKUP_KEEP',
    file: 'finalBackupKeep',
    parse: between('1d', '36500d'),
    fallback: () => duration('90d'),
    about: 'How long the last backup of a tenant that is gone is kept.'
  }),
  lease: setting<number>({
    env: 'SAASCTL_LEASE',
    file: 'lease',
    parse: between('100ms', '1h'),
    fallback: () => duration('15s'),
    about: 'How long an operation stays with a process that is not heard of.'
  }),
  beat: setting<number>({
    env: 'SAASCTL_BEAT',
    file: 'beat',
    // A worker that was not heard of for 20 s counts as dead.
    parse: between('50ms', '10s'),
    fallback: () => duration('5s'),
    about: 'How often a worker says that it lives and looks for work that is due.'
  }),
  concurrency: setting<number>({
    env: 'SAASCTL_CONCURRENCY',
    file: 'concurrency',
    parse: count,
    fallback: () => 2,
    about: 'How many operations one process works at a time. Two per server measured best on two cores.'
  }),
  backupsPerServer: setting<number>({
    env: 'SAASCTL_BACKUPS_PER_SERVER',
    file: 'backupsPerServer',
    parse: count,
    fallback: () => 2,
    about: 'How many backups and drills are at work on one server at a time.'
  }),
  operator: setting<string>({
    env: 'SAASCTL_OPERATOR',
    parse: text => text,
    fallback: osUser,
    about: 'The name that the audit trail writes down, marked as asserted. The default is the user of the system.'
  }),
  token: setting<Secret | null>({
    env: 'SAASCTL_TOKEN',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'An operator’s token, from "saasctl operator token": with it the actor is proven.',
    secret: true
  }),
  tokenFile: setting<string | null>({
    env: 'SAASCTL_TOKEN_FILE',
    file: 'tokenFile',
    parse: path,
    fallback: () => null,
    about: 'A file that holds the operator’s token.'
  }),
  assertedChanges: setting<boolean>({
    env: 'SAASCTL_ASSERTED_CHANGES',
    parse: yesOrNo,
    fallback: () => false,
    about:
      'Lets a caller without a token change things although there is an admin: for the day when no token is at hand.'
  }),
  checkpointEvery: setting<number>({
    env: 'SAASCTL_CHECKPOINT_EVERY',
    file: 'checkpointEvery',
    parse: between('1m', '365d'),
    fallback: () => duration('1h'),
    about: 'How often workers sign where the audit trail’s chains end, when it went on.'
  }),
  catalogBackupEvery: setting<number>({
    env: 'SAASCTL_CATALOG_BACKUP_EVERY',
    file: 'catalogBackupEvery',
    parse: between('1m', '365d'),
    fallback: () => duration('1d'),
    about: 'How often workers back the catalog itself up.'
  }),
  catalogBackupKeep: setting<number>({
    env: 'SAASCTL_CATALOG_BACKUP_KEEP',
    file: 'catalogBackupKeep',
    parse: count,
    fallback: () => 30,
    about: 'How many backups of the catalog are kept in its store.'
  }),
  failpoint: setting<string>({
    env: 'SAASCTL_FAILPOINT',
    parse: text => text,
    fallback: () => '',
    about: 'For tests: where to be killed, as "tenant.create/make logins:acted".'
  }),
  production: setting<boolean>({
    env: 'NODE_ENV',
    parse: text => text === 'production',
    fallback: () => false,
    about: 'Under "production" the embedded server is refused unless it is allowed.'
  }),
  dnsServers: setting<readonly string[]>({
    env: 'SAASCTL_DNS_SERVERS',
    file: 'dnsServers',
    parse: nameServers,
    fallback: () => [],
    about:
      'Name servers that are asked for the proof of a tenant’s domain, with commas; those of the machine by default.'
  }),
  dnsTimeout: setting<number>({
    env: 'SAASCTL_DNS_TIMEOUT',
    file: 'dnsTimeout',
    parse: between('100ms', '60s'),
    fallback: () => 5_000,
    about: 'How long a name server may take to answer.'
  }),
  store: setting<string | null>({
    env: 'SAASCTL_STORE',
    file: 'store',
    parse: text => text,
    fallback: () => null,
    about:
      'Where backups and exports are kept: "file:///FOLDER" or "s3://BUCKET/PREFIX". The default is the folder "store" in the home.'
  }),
  s3Endpoint: setting<string | null>({
    env: 'AWS_ENDPOINT_URL_S3',
    file: 's3Endpoint',
    parse: webAddress,
    fallback: () => null,
    about: 'Where a store with the scheme s3 is, when it is not at AWS: https://HOST.'
  }),
  s3Region: setting<string | null>({
    env: 'AWS_REGION',
    file: 's3Region',
    parse: text => text,
    fallback: () => null,
    about: 'The region of the bucket. Without it, what the AWS library finds.'
  }),
  s3AccessKey: setting<string | null>({
    env: 'AWS_ACCESS_KEY_ID',
    parse: text => text,
    fallback: () => null,
    about: 'The access key of the bucket. Without it, the AWS library’s own way: profiles and roles.'
  }),
  s3SecretKey: setting<Secret | null>({
    env: 'AWS_SECRET_ACCESS_KEY',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The secret that belongs to the access key.',
    secret: true
  }),
  s3SessionToken: setting<Secret | null>({
    env: 'AWS_SESSION_TOKEN',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The session token, for an access key that is lent for a while.',
    secret: true
  }),
  path: setting<string>({
    env: 'PATH',
    parse: text => text,
    fallback: () => '',
    about: 'Where programs are looked for.'
  })
} as const

/** The package's own folder, for what it ships. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url))

function ownOrShipped(project: string, name: string): string {
  const own = join(project, name)
  return existsSync(own) ? own : join(packageFolder, name)
}
