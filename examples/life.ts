import { relative } from 'node:path'
import { loadConfig, open, SaasctlError } from '../src/index.js'
import { clearStage } from './cast.js'
import { changeChapter } from './chapters/change.js'
import { createChapter } from './chapters/create.js'
import { forgetChapter } from './chapters/forget.js'
import { mysqlChapter } from './chapters/mysql.js'
import { proveChapter } from './chapters/prove.js'
import { restoreChapter } from './chapters/restore.js'
import { rolloutChapter } from './chapters/rollout.js'
import { serveChapter } from './chapters/serve.js'
import { narrator } from './narrator.js'

/** What a reader may want to try then. `proofs` is the folder with what an auditor was given. */
const next = (proofs: string) => [
  'npm run example                 (the product on port 3000, with curl lines to try)',
  'npx saasctl tenant list',
  'npx saasctl tenant shell acme',
  'npx saasctl tenant create my-first-tenant',
  'npx saasctl fleet status',
  'npx saasctl rollout list',
  'npx saasctl backup list acme',
  'npx saasctl tenant restore acme --latest',
  `npx saasctl export verify ${proofs}/acme --key ${proofs}/signing.pem`,
  `npx saasctl audit verify --checkpoint ${proofs}/checkpoint`,
  'npx saasctl doctor',
  'npx saasctl dev stop            (and `dev reset` to forget it all)'
]

/** `npm start`: a tenant's whole life, on real databases, from nothing. May be told again and again. */
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
    await rolloutChapter(saasctl, voice)
    await restoreChapter(saasctl, voice)
    const proofs = await proveChapter(saasctl, voice)
    await forgetChapter(saasctl, voice)
    voice.chapter(`That took ${((performance.now() - begin) / 1000).toFixed(1)} s`)
    const tenants = umbrella ? `acme, initech and ${umbrella}` : 'acme and initech'
    voice.say(
      `Left behind: ${tenants}, one warm database, acme’s backup, and what the auditor was given in ${proofs}/.`
    )
    voice.chapter('Try next')
    for (const command of next(proofs)) voice.say(command)
  } finally {
    await saasctl.close()
  }
} catch (thrown) {
  const error = thrown as SaasctlError
  console.error(`\n${error.message}${error.hint ? `\n→ ${error.hint}` : ''}`)
  process.exitCode = error instanceof SaasctlError ? error.exit : 1
}
