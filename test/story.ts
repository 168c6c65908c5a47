import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { packageFolder } from '../src/config.js'
import { embedded } from '../src/embedded/embedded.js'
import { mysqlBinaries } from './support/mariadb-server.js'
import { scratch, skipWithoutPostgres } from './support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const home = await mkdtemp(join(scratch, 'saasctl-story.'))
  t.teardown(async () => {
    await embedded(home, { path: process.env['PATH'] ?? '' }).reset()
    await rm(home, { recursive: true, force: true })
  })

  const tell = () =>
    new Promise<{ code: number | null; said: string }>(resolve => {
      const { PATH } = process.env
      const child = spawn(process.execPath, [join(packageFolder, 'dist', 'examples', 'life.js')], {
        cwd: home,
        env: { PATH, SAASCTL_HOME: home }
      })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (said += chunk))
      child.on('close', code => resolve({ code, said }))
    })

  t.test('npm start tells a tenant’s whole life from nothing, and may be told again', async t => {
    for (const time of ['first', 'second']) {
      const { code, said } = await tell()
      t.equal(code, 0, said)
      for (const turn of [
        /acme \(pro\) is active in database t\w+/,
        /globex knocks at acme's database: ".*reject/,
        /claimed from the warm pool/,
        /acme issues invoice \d{4}-\d{5} of 1428\.00 EUR/,
        /initech issues invoice \d{4}-00002 of 105\.91 GBP/,
        /initech its own 2: each counts from 1 in its own database/,
        /acme’s token on initech’s host is answered 404: \{.*"Not found\."\}/,
        /initech is suspended\.\n.*Its own token is answered 404: the same/,
        /initech is resumed\.\n.*It has its 2 invoices again/,
        /The product ends/,
        /undone: it stands at \d{4}_/,
        /renamed to globex-corp/,
        /refused by the server itself: ".*not permitted to log in/,
        /deleted with grace: until \d{4}-\d\d-\d\d/,
        /brought back as it was/,
        /deleted for good/,
        /audit trail stays, \d+ events long/,
        /6 tenants, 2 in wave canary, 4 in wave 100%; the lint has no complaints/,
        /The canary of 2 goes well.*The rollout has failed: 5 are migrated, one is not/,
        /shop-\w+ is left alone, with the reason: .*column "vat_id" of relation "customers" already exists/,
        /The retry takes that tenant alone; the rollout has succeeded/,
        /geneva signs up and starts at 0014_customers_vat_id/,
        /restored to a scratch database and compared: \d+ tables, [\d,]+ rows/,
        /deletes all ([\d,]+) rows of (\w+)\.[\s\S]*counts \1 rows of \2 again\.[\s\S]*\2 has 0 rows[\s\S]*acme has its \1 rows/,
        /saasctl verifies it: intact, signed with the key; \d+ files/,
        /sha512sum and openssl.* say the same/i,
        /One byte is flipped, and it says so: data\/tables\/customers\.csv was changed/,
        /The trail is verified: \d+ events in \d+ chains, none edited, none missing/,
        /Deleting it for good is refused: "Tenant hooli is under a legal hold/,
        /ada asks for its erasure, grace approves/,
        /Its backup brings nothing back: "/,
        /A certificate, signed with key [0-9a-f]{16}/,
        /Left behind: acme, initech/
      ]) {
        t.match(said, turn, `${time} time`)
      }
      const onMysql = (await mysqlBinaries()).length > 0
      t.match(
        said,
        onMysql
          ? /umbrella \(pro\) is active in database t\w+[\s\S]*umbrella issues invoice \d{4}-\d{5} of 535\.50 USD/
          : /NO MARIADB AND NO MYSQL ON THIS MACHINE/
      )
      t.notMatch(said, /(postgres(ql)?|mysql):\/\/|password/i, 'no password is told')
      t.notMatch(said, /warning/i)
    }
  })
}
