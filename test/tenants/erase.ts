import { createHash, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath, pathToFileURL } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { approvable } from '../../src/approvable.js'
import { openArchive } from '../../src/archives/read.js'
import { findCertificate } from '../../src/audit/certificate.js'
import { makeCheckpoint } from '../../src/audit/checkpoint.js'
import { ownKeys } from '../../src/audit/verify/keys.js'
import { verifyTrail } from '../../src/audit/verify/verify.js'
import { backupTenant } from '../../src/backups/backup.js'
import { mustFindBackup } from '../../src/backups/find.js'
import { planPrune, pruneBackups } from '../../src/backups/prune.js'
import { listApprovals } from '../../src/catalog/approvals.js'
import { expiredExports } from '../../src/catalog/exports.js'
import { replacedToDrop } from '../../src/catalog/replaced.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { hba as embeddedHba } from '../../src/embedded/cluster.js'
import { createExport } from '../../src/exports/create.js'
import { verifyExport } from '../../src/exports/verify.js'
import { approve, reject } from '../../src/operators/approvals.js'
import { revokeOperator } from '../../src/operators/operators.js'
import { dropReplaced } from '../../src/restores/drop-replaced.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { Secret } from '../../src/secret.js'
import { open, seal } from '../../src/secrets/envelope.js'
import { backupKeys, restoreKeys } from '../../src/secrets/key-backup.js'
import { signedBy, signer } from '../../src/secrets/signing.js'
import { readWhole } from '../../src/stores/store.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { tenantDsn } from '../../src/tenants/enter.js'
import { askErase } from '../../src/tenants/erase.js'
import { askHold, askRelease } from '../../src/tenants/hold.js'
import { purgeDue, purgeTenant } from '../../src/tenants/purge.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { controlPlane } from '../support/control-plane.js'
import { shell } from '../support/export-world.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { asOperator, eraseAsTwo } from '../support/operators.js'
import { asSuperuser, scratch, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const hba = `host older all 127.0.0.1/32 scram-sha-256\n${embeddedHba}`
  const plane = await controlPlane({ env: template.env, hba })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog, keys } = saasctl
  const wait = { wait: true }
  const create = (slug: string, more = {}) => createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, wait)
  const [ada, grace] = [await asOperator(saasctl, 'ada'), await asOperator(saasctl, 'grace')]
  const yes = (id: string, by = grace) => approve(by, id, approvable, wait)
  const everything = () =>
    asSuperuser(
      plane.server,
      async client => {
        const { rows } = await client.query<{ name: string }>(
          `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind in ('r', 'p') and n.nspname in ('saasctl', 'graphile_worker')`
        )
        const found: string[] = []
        for (const { name } of rows)
          for (const { row } of (await client.query(`select t::text as row from ${name} t`)).rows)
            found.push(`${name} ${row}`)
        return found
      },
      'saasctl'
    )

  await t.test(
    'it takes two operators with tokens: never one’s own request, nobody revoked, nothing over its time',
    async t => {
      await create('duo')
      await t.rejects(askHold(saasctl, 'duo', 'why'), { code: 'NOT_ALLOWED', message: /two operators/ })
      const { id } = await askHold(ada, 'duo', 'litigation')
      await t.rejects(askHold(ada, 'duo', 'again'), { code: 'APPROVAL_STATE', message: /asked for already/ })
      await t.rejects(yes(id, ada), { code: 'NOT_ALLOWED', message: /cannot decide it too/ })
      await t.rejects(yes(id, saasctl as typeof ada), { code: 'NOT_ALLOWED' }, 'an asserted name is no second')
      await t.rejects(yes('nonsense'), { code: 'APPROVAL_NOT_FOUND' })
      t.match(await listApprovals(catalog, { all: false, limit: 9 }), [{ id, requester: 'ada', status: 'pending' }])
      t.match(await reject(grace, id), { status: 'rejected', decider: 'grace' })
      await t.rejects(yes(id), { code: 'APPROVAL_STATE', message: /was rejected by grace/ })
      const late = await askHold(ada, 'duo', 'litigation')
      await plane.catalogAsSuperuser(client =>
        client.query(`update saasctl.approval set expires_at = now() where id = $1`, [late.id])
      )
      await t.rejects(yes(late.id), { code: 'APPROVAL_STATE', message: /not decided in time/ })
      const alan = await asOperator(saasctl, 'alan')
      const his = await askHold(alan, 'duo', 'litigation')
      await revokeOperator(saasctl, 'alan')
      await t.rejects(yes(his.id), { code: 'NOT_ALLOWED', message: /was revoked since/ })
      await reject(grace, his.id)
      await t.rejects(
        plane.catalogAsSuperuser(client =>
          client.query(`update saasctl.approval set status = 'approved', decided_by = requested_by where id = $1`, [
            late.id
          ])
        ),
        /approval_two/,
        'and the catalog itself says so'
      )
    }
  )

  await t.test(
    'a hold keeps the tenant from every end, from when it is asked for until two have released it',
    async t => {
      await create('held')
      const { id: tenantId } = (await findTenant(catalog, 'held')) ?? { id: '' }
      const asked = await askHold(ada, 'held', 'litigation 17')
      const refused = async (t: Test, message: RegExp) => {
        await t.rejects(purgeTenant(saasctl, 'held', wait), { code: 'TENANT_HELD', message })
        await t.rejects(askErase(ada, 'held', 'gone'), { code: 'TENANT_HELD', message })
      }
      await refused(t, /asked for and not decided/)
      await yes(asked.id)
      await refused(t, /under a legal hold since .*: litigation 17/)
      await deleteTenant(saasctl, 'held', { ...wait, graceSeconds: 0 })
      t.equal(await purgeDue(saasctl), 0, 'the end of its grace is no end')
      await t.rejects(
        catalog.query(`update saasctl.tenant set status = 'purging' where id = $1`, [tenantId]),
        {
          code: 'TENANT_HELD'
        },
        'not even for a program that does not ask'
      )
      const release = await askRelease(grace, 'held', 'settled')
      await t.rejects(yes(release.id, grace), { code: 'NOT_ALLOWED' })
      await refused(t, /under a legal hold/)
      await yes(release.id, ada)
      await t.rejects(askRelease(ada, 'held', 'again'), { code: 'TENANT_STATE', message: /is not held/ })
      t.equal(await purgeDue(saasctl), 1)
      await settle(saasctl)
    }
  )

  await t.test('while a tenant is held, nothing of it ends by itself either', async t => {
    await create('kept')
    for (let count = 0; count < 2; count += 1) await backupTenant(saasctl, 'kept', { ...wait, keepSeconds: 0 })
    await restoreTenant(saasctl, 'kept', {}, wait)
    const target = { formats: ['csv'] as ['csv'], container: 'zip' as const, target: null }
    await createExport(saasctl, 'kept', { ...target, masked: false, certificate: null, reason: 'a test' }, wait)
    await plane.catalogAsSuperuser(client =>
      client.query('update saasctl.replaced_database set drop_at = now(); update saasctl.export set expires_at = now()')
    )
    const ending = async () => [
      (await planPrune(saasctl, undefined)).filter(({ slug }) => slug === 'kept').length,
      (await replacedToDrop(catalog, 10)).length,
      (await expiredExports(catalog, 10)).length
    ]
    t.strictSame(await ending(), [1, 1, 1])
    const { id } = await askHold(ada, 'kept', 'litigation 18')
    t.strictSame(await ending(), [0, 0, 0], 'from the moment that a hold is asked for')
    await t.rejects(pruneBackups(saasctl, 'kept', wait), { code: 'TENANT_HELD' })
    await yes(id)
    t.strictSame(await ending(), [0, 0, 0])
    await yes((await askRelease(grace, 'kept', 'settled')).id, ada)
    t.strictSame(await ending(), [1, 1, 1])
    await dropReplaced(saasctl)
    await settle(saasctl)
  })

  await t.test('an erasure that was asked for before a hold is refused when it is approved', async t => {
    await create('raced')
    const erase = await askErase(ada, 'raced', 'gone')
    await yes((await askHold(ada, 'raced', 'stop')).id)
    await t.rejects(yes(erase.id), { code: 'TENANT_HELD' })
    t.match(await listApprovals(catalog, { all: false, limit: 9 }), [{ id: erase.id, status: 'pending' }])
    t.equal((await findTenant(catalog, 'raced'))?.status, 'active')
    await yes((await askRelease(ada, 'raced', 'go')).id)
  })

  await t.test(
    'what is erased stays erased: no login, no database, no key, no word of it; the chain is whole',
    async t => {
      await create('canary-slug', { displayName: 'Canary Display', labels: { tier: 'canary-label' } })
      const before = (await findTenant(catalog, 'canary-slug')) ?? { id: '', database: '', databaseId: '' }
      const key = `tenant/${before.id}`
      const place = { owner: before.id, purpose: 'backup', version: 1 }
      const sealed = seal(createSecretKey(await keys.ensure(key)), place, randomBytes(9))
      const dsn = await tenantDsn(saasctl, 'canary-slug', { readOnly: false, reveal: true, reason: 'canary-reason' })
      await makeCheckpoint(saasctl)
      const store = await saasctl.stores.open(saasctl.stores.usual)
      const object = `backups/${before.id}/one`
      await store.put(object, Readable.from(sealed))
      await plane.catalogAsSuperuser(client =>
        client.query(
          `insert into saasctl.backup (id, tenant_id, database_id, reason, status, store, object, hold_reason)
           values ($1, $1, $2, 'manual', 'complete', $3, $4, 'canary-hold')`,
          [before.id, before.databaseId, store.url, object]
        )
      )
      await t.rejects(askErase(ada, 'canary-slug', 'x'), {
        code: 'TENANT_HELD',
        message: /A backup of tenant .* is held/
      })
      await plane.catalogAsSuperuser(client => client.query('update saasctl.backup set hold_reason = null'))
      const passphrase = new Secret('a long enough passphrase')
      const keyBackup = await backupKeys(keys, passphrase)
      await asSuperuser(plane.server, async client => {
        await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'saasctl'`)
        await client.query('create database older template saasctl')
      })

      const { operation } = await eraseAsTwo(saasctl, 'canary-slug')
      t.equal(operation?.status, 'succeeded')
      t.match(await findTenant(catalog, before.id), { status: 'purged', slug: 'erased', displayName: null, labels: {} })
      await t.rejects(
        new pg.Client({ connectionString: dsn }).connect(),
        /password authentication failed|does not exist|pg_hba/
      )
      const left = await asSuperuser(
        plane.server,
        async client => (await client.query('select from pg_database where datname = $1', [before.database])).rowCount
      )
      t.equal(left, 0)
      await t.rejects(keys.read(key), { code: 'KEY_MISSING' })
      await t.rejects(store.get(object), { code: 'STORE_MISSING' }, 'its backups are deleted')
      t.throws(
        () => open(createSecretKey(randomBytes(32)), place, sealed),
        { code: 'KEY_WRONG' },
        'an old backup does not open'
      )

      const words = (await everything()).filter(
        row => /canary/i.test(row) && !row.startsWith('saasctl.slug_quarantine')
      )
      t.strictSame(words, [], 'its name is kept back from others, and nowhere else')
      t.strictSame((await verifyTrail(catalog, { keys: await ownKeys(keys) })).findings, [], 'the chain still verifies')
      t.strictSame(await fleetAudit(plane), [])

      const older = await plane.another({
        SAASCTL_CATALOG_URL: (plane.env['SAASCTL_CATALOG_URL'] ?? '').replace(/\/saasctl$/, '/older')
      })
      t.equal(
        (await findTenant(older.catalog, 'canary-slug'))?.status,
        'active',
        'an old catalog beside it knows the tenant'
      )
      const oldDsn = await tenantDsn(older, 'canary-slug', { readOnly: true, reveal: true })
      await t.rejects(new pg.Client({ connectionString: oldDsn }).connect(), 'but nothing lets it in')
      await t.rejects(older.keys.read(key), { code: 'KEY_MISSING' }, 'and it brings no key back')
      t.ok(
        (await restoreKeys(keyBackup, passphrase)).names.includes(key),
        'a copy of the keys would: the certificate says so'
      )
    }
  )

  await t.test('the certificate is signed, names nobody, and says what it does not cover', async t => {
    await create('signed')
    const { id } = (await findTenant(catalog, 'signed')) ?? { id: '' }
    await t.rejects(findCertificate(catalog, id), { code: 'EVENT_NOT_FOUND' })
    await eraseAsTwo(saasctl, 'signed')
    const { body, signature, keyId } = await findCertificate(catalog, id)
    const { publicKey, keyId: own } = await signer(keys)
    t.equal(keyId, own)
    t.ok(signedBy(publicKey, Buffer.from(body), signature))
    t.notMatch(body, /\bada\b|grace|signed"|tester|asked for by/, 'as a word: an id may hold the letters of one')
    const said = JSON.parse(body)
    t.match(said, { tenant: id, requestedBy: ada.actor.operatorId, approvedBy: grace.actor.operatorId })
    t.match(said.notCovered.join('; '), /logs.*copies of the key store/)
    const [head] = await catalog.query('select seq::int, hash from saasctl.audit_chain where chain = $1', [
      `tenant:${id}`
    ])
    t.strictSame(said.chain, head)
  })

  await t.test('a last export is handed over before, for one certificate alone, and no word of it stays', async t => {
    const folder = await mkdtemp(join(scratch, 'saasctl-handed.'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const made = await shell(
      'openssl req -x509 -newkey rsa:2048 -nodes -keyout their.key -out their.pem -subj /CN=canary-reader -days 2',
      folder
    )
    t.equal(made.code, 0, made.said)
    await create('leaving')
    const { id } = (await findTenant(catalog, 'leaving')) ?? { id: '' }
    const file = join(folder, 'canary-leaving.zip.p7m')
    const last = {
      target: pathToFileURL(file).href,
      container: 'zip',
      certificate: await readFile(join(folder, 'their.pem'), 'utf8')
    } as const
    await deleteTenant(saasctl, 'leaving', wait)
    await t.rejects(askErase(ada, 'leaving', 'canary-why', last), {
      code: 'TENANT_STATE',
      message: /cannot be exported/
    })
    await undeleteTenant(saasctl, 'leaving', wait)
    const asked = await askErase(ada, 'leaving', 'canary-why', last)
    t.equal((await yes(asked.id)).operation?.status, 'succeeded')
    const opened = await shell(
      `openssl cms -decrypt -binary -inform DER -inkey their.key -in ${basename(file)} -out opened.zip`,
      folder
    )
    t.equal(opened.code, 0, opened.said)
    t.match(await verifyExport(join(folder, 'opened.zip'), (await signer(keys)).publicKey), {
      signer: 'signed',
      says: { tenant: { id, slug: 'leaving' }, rows: 1, asked: { reason: 'canary-why' } }
    })
    const sha512 = createHash('sha512')
      .update(await readFile(file))
      .digest('hex')
    const { body } = await findCertificate(catalog, id)
    t.match(JSON.parse(body), { handedOver: { sha512, bytes: (await stat(file)).size } })
    t.strictSame(
      (await everything()).filter(row => /canary-(?:leaving|reader|why)|BEGIN CERT/i.test(row)),
      []
    )
    t.notMatch(body, /canary|leaving|reader|\bada\b|grace|tester|@/, 'nor in the certificate')
    t.strictSame((await readdir(folder)).sort(), ['canary-leaving.zip.p7m', 'opened.zip', 'their.key', 'their.pem'])
  })

  await t.test(
    'what an earlier backup, an export and a dead writer left in the store opens for nobody and is gone',
    async t => {
      await create('copied')
      const { id: tenantId } = (await findTenant(catalog, 'copied')) ?? { id: '' }
      const { backupId: id } = await backupTenant(saasctl, 'copied', wait)
      const usual = { formats: ['jsonl'], container: 'zip', target: null, masked: false, certificate: null } as const
      await createExport(saasctl, 'copied', { ...usual, formats: ['jsonl'], reason: 'x' }, wait)
      const store = await saasctl.stores.open(saasctl.stores.usual)
      await store.put(`exports/${tenantId}/forgotten.zip`, Readable.from(['of a try that the catalog does not know']))
      const home = fileURLToPath(store.url)
      await writeFile(join(home, 'exports', tenantId, '.dead.zip.0123456789abcdef.half'), 'half')
      const row = await mustFindBackup(catalog, id)
      const kept = new Map<string, Buffer>()
      for await (const { name } of store.list(`backups/${tenantId}/`)) kept.set(name, await readWhole(store, name))
      t.ok(kept.size >= 2, 'the backup and its manifest')
      await t.resolves(openArchive(saasctl, row))
      await eraseAsTwo(saasctl, 'copied')
      const left = (await readdir(home, { recursive: true, withFileTypes: true })).filter(one => one.isFile())
      t.strictSame(
        left.filter(({ parentPath }) => parentPath.includes(tenantId)),
        []
      )
      for (const [name, content] of kept) await store.put(name, Readable.from([content]))
      await t.rejects(openArchive(saasctl, row), { code: 'KEY_MISSING' }, 'a copy that somebody kept does not open')
    }
  )

  await t.test('a tenant in its grace and one that was purged can be erased too, by id', async t => {
    await create('graced')
    await deleteTenant(saasctl, 'graced', wait)
    t.equal((await eraseAsTwo(saasctl, 'graced')).operation?.status, 'succeeded')
    await create('purged-one')
    const { id } = (await findTenant(catalog, 'purged-one')) ?? { id: '' }
    await purgeTenant(saasctl, 'purged-one', wait)
    t.equal((await eraseAsTwo(saasctl, id)).operation?.status, 'succeeded')
    const left = (await everything()).filter(row => row.includes('purged-one'))
    t.ok(
      left.every(row => row.startsWith('saasctl.slug_quarantine')),
      left.join('\n')
    )
    t.strictSame(await fleetAudit(plane), [])
  })
}
