import { loadConfig, open, SaasctlError } from 'saasctl'
import { product } from '../product.js'
import { furnish } from './furnish.js'
import { demoIssuer } from './issuer.js'
import { choosePort } from './port.js'
import { alder, birch, ensureTenant } from './tenants.js'
import { curl, tour } from './tour.js'

/** `npm run example`: the product for two companies, from nothing, until Ctrl-C. */
try {
  const port = await choosePort(process.env['PORT'])
  const ids = await makeTenants()
  await serve(port, ids)
} catch (thrown) {
  const error = thrown as SaasctlError
  process.stderr.write(`error: ${error.message}\n${error.hint ? `→ ${error.hint}\n` : ''}`)
  process.exitCode = error instanceof SaasctlError ? error.exit : 1
}

interface Ids {
  alder: string
  birch: string
}

async function makeTenants(): Promise<Ids> {
  const saasctl = await open(loadConfig(), { report: say })
  try {
    return { alder: await ensureTenant(saasctl, alder), birch: await ensureTenant(saasctl, birch) }
  } finally {
    await saasctl.close()
  }
}

async function serve(port: number, ids: Ids): Promise<void> {
  const issuer = await demoIssuer()
  const domain = 'localhost'
  const app = await product({ issuers: [issuer.options], domain })
  try {
    await app.ready()
    const forAlder = await furnish(app.tenants, ids.alder, alder.furniture)
    const forBirch = await furnish(app.tenants, ids.birch, birch.furniture)
    const base = await app.listen({ port, host: '127.0.0.1' })

    say(`\nThe product listens on ${base}. Two tokens to paste first, each good for an hour:\n`)
    say(`ALDER='Authorization: Bearer ${await issuer.token(ids.alder, forAlder.userId)}'`)
    say(`BIRCH='Authorization: Bearer ${await issuer.token(ids.birch, forBirch.userId)}'`)
    for (const stop of tour({ alder: `alder.${domain}`, birch: `birch.${domain}` }, forAlder)) {
      say(`\n# ${stop.says}\n${curl(base, stop)}`)
    }
    say('\nSuspend a tenant meanwhile: npx saasctl tenant suspend birch. Ctrl-C ends the product.\n')

    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  } catch (error) {
    await app.close()
    throw error
  }

  function stop(): void {
    say('\nRequests that have begun may finish …')
    void app.close().then(() => say('The product has ended. Its database server runs on: npx saasctl dev stop.'))
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
