import { relative } from 'node:path'
import { listTenants } from '../src/catalog/tenants.js'
import { loadConfig, open, purgeTenant, type Saasctl, SaasctlError } from '../src/index.js'
import { changeChapter } from './chapters/change.js'
import { createChapter } from './chapters/create.js'
import { mysqlChapter } from './chapters/mysql.js'
import { serveChapter } from './chapters/serve.js'
import { narrator } from './narrator.js'

/** `npm start`: a tenant's whole life, on real databases, from nothing. May be told again and again. */
const cast = ['acme', 'globex', 'globex-corp', 'initech', 'umbrella']

const next = [
  'npm run example             (the product on port 3000, with curl lines to try)',
  'npx saasctl tenant list',
  'npx saasctl tenant shell acme',
  'npx saasctl tenant create my-first-tenant',
  'npx saasctl operation list',
  'npx saasctl doctor',
  'npx saasctl dev stop        (and `dev reset` to forget it all)'
]

const voice = narrator()
const begin = performance.now()
try {
  // A slug that the last telling freed must not be kept back from this one.
  const config = loadConfig({ env: { ...process.env, SAASCTL_SLUG_QUARANTINE: '0s' } })
  voice.chapter('A control plane from nothing')
  const saasctl = await voice.tell(
    () => open(config, { report: voice.say }),
    ({ embedded, config }) =>
      embedded
        ? `A private PostgreSQL ${embedded.version} runs on port ${embedded.port}; its catalog and its keys are in ${relative(config.project, config.home)}/.`
        : 'The configured catalog is open.'
  )
  try {
    await clearStage(saasctl)
    await createChapter(saasctl, voice)
    const umbrella = await mysqlChapter(saasctl, voice)
    await serveChapter(saasctl, voice, umbrella)
    await changeChapter(saasctl, voice)
    voice.chapter(
      `That took ${((performance.now() - begin) / 1000).toFixed(1)} s. Left behind: acme, initech${umbrella ? ` and ${umbrella}` : ''}, one warm database. Try next`
    )
    for (const command of next) voice.say(command)
  } finally {
    await saasctl.close()
  }
} catch (thrown) {
  const error = thrown as SaasctlError
  console.error(`\n${error.message}${error.hint ? `\n→ ${error.hint}` : ''}`)
  process.exitCode = error instanceof SaasctlError ? error.exit : 1
}

/** Whoever is left from an earlier telling goes first. */
async function clearStage(saasctl: Saasctl): Promise<void> {
  const statuses = ['creating', 'active', 'suspended', 'deleted', 'purging'] as const
  const left = await listTenants(saasctl.catalog, { slugs: cast, statuses: [...statuses] }, { limit: cast.length })
  for (const { id } of left) await purgeTenant(saasctl, id, { wait: true, reason: 'the story begins again' })
}
