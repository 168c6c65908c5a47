import { createWriteStream } from 'node:fs'
import {
  appendFile,
  copyFile,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGzip, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { pack } from 'tar-stream'
import { ZipFile } from 'yazl'
import { canonical } from '../../src/canonical.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { gather } from '../../src/databases/work.js'
import type { SnapshotTable } from '../../src/engines/snapshot.js'
import { asSaasctlError } from '../../src/errors.js'
import { mustFindExport } from '../../src/exports/create.js'
import { fileNames } from '../../src/exports/datapackage.js'
import { readPackage } from '../../src/exports/read-bag.js'
import { schemaAt, schemaBefore } from '../../src/exports/schema.js'
import { entriesOf } from '../../src/exports/unpack.js'
import { verifyExport } from '../../src/exports/verify.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { type ExportWorld, exportWorld, shell } from '../support/export-world.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'

if (await skipWithoutPostgres(t)) process.exit()

await t.test('a folder is read whole, however many tables it has', async t => {
  const names = Array.from({ length: 100 }, (_, index) => `${index}.csv`)
  const folder = t.testdir({ data: { tables: Object.fromEntries(names.map(name => [name, name])) } })
  const read = new Map<string, string>()
  for await (const { path, content } of entriesOf(folder)) read.set(path, String(await buffer(content)))
  t.same(read, new Map(names.map(name => [`data/tables/${name}`, name])))
})

await t.test('no table takes the name of another’s file, or of a part of it', t => {
  const spaces = [null, 'public', 'x.'].flatMap(space =>
    ['a', 'a-2', 'A', 'a..b', '..', '.a.'].map(name => ({ space, name }))
  )
  const names = [...fileNames(spaces as unknown as SnapshotTable[]).values()]
  t.equal(new Set(names.map(name => name.toLowerCase())).size, spaces.length)
  for (const name of names) t.match(name, /^(?!.*\.\.)[A-Za-z0-9_.]+$/)
  t.end()
})

for (const engine of ['postgres', 'mysql'] as const) {
  await t.test(engine, async t => {
    const world = await exportWorld(engine)
    if (!world) return t.comment('NO MARIADB AND NO MYSQL HERE: nothing of their exports was tested.')
    t.teardown(() => world.close())
    await world.tenant('acme')
    await t.test('an export comes back as a new tenant, equal row for row', t => comesBack(t, world))
    await t.test('what was written after the moment is not in it', t => writing(t, world, engine))
    await t.test('the schema is of the same moment as the rows, or the export is made again', t =>
      schemaOf(t, world, engine)
    )
    if (engine === 'mysql') return
    await t.test('coreutils and openssl prove the same as "export verify"', t => byHand(t, world))
    await t.test('any changed, missing or extra file is found, and named', t => tampered(t, world))
    await t.test('any flipped byte of an archive is found', t => flipped(t, world))
    await t.test('archives that mean harm are refused, and nothing of them is written', t => traps(t, world))
    await t.test('an encrypted export opens with its key and plain openssl', t => encrypted(t, world))
    await t.test('a masked export hides what the template says, says so, and does not come back', t => masked(t, world))
    await t.test('code and policies of a tenant gain nothing and hide nothing', t => evil(t, world))
    await t.test('what cannot be made is refused in one sentence, and leaves nothing', t => refusals(t, world))
  })
}

async function comesBack(t: Test, world: ExportWorld) {
  const first = await world.make('acme', 'acme.tar.gz')
  const others = await Promise.all(['acme.zip', 'acme'].map(out => world.make('acme', out)))
  for (const { file } of [first, ...others]) {
    const verdict = await verifyExport(file, await readFile(world.key, 'utf8'))
    t.match(verdict, { intact: true, signer: 'signed', problems: [] }, file)
    t.match(verdict.says, { tenant: { slug: 'acme' }, asked: { by: 'tester', reason: 'a test' }, redactions: [] })
    t.match(await verifyExport(file), { intact: true, signer: 'unknown' })
  }
  for (const [index, { file }] of [first, ...others].entries()) {
    const slug = `again-${index + 1}`
    await world.bringBack(file, slug)
    const again = await world.make(slug, `${slug}.folder`.replace('.folder', ''))
    const [before, after] = [await readPackage(others[1]?.file ?? ''), await readPackage(again.file)]
    t.strictSame(after.resources, before.resources, `${slug}: same tables, rows and hashes`)
    t.strictSame(after.saasctl.sequences, before.saasctl.sequences)
  }
}

async function writing(t: Test, world: ExportWorld, engine: 'postgres' | 'mysql') {
  const before = await world.make('acme', 'before')
  let stop = false
  const writer = (async () => {
    for (let id = 1000; !stop; id += 1) {
      await world.inside('acme', `insert into plain (id, body) values (${id}, 'late')`)
      await world.inside('acme', `update tags set name = 'x'`)
    }
  })()
  const [one, two] = await Promise.all([world.make('acme', 'during-1'), world.make('acme', 'during-2.zip')])
  stop = true
  await writer
  for (const { file } of [one, two]) {
    t.match(await verifyExport(file), { intact: true })
    const facts = await readPackage(file)
    const plain = facts.resources.find(({ name }) => name === 'plain-jsonl')
    const known = (await readPackage(before.file)).resources.find(({ name }) => name === 'plain-jsonl')
    t.ok(plain && known && plain.saasctl.rows >= known.saasctl.rows)
  }
  const json = await readFile(join(one.file, 'data/tables/plain.jsonl'), 'utf8')
  const csv = await readFile(join(one.file, 'data/tables/plain.csv'), 'utf8')
  t.equal(json.split('\n').length, csv.split('\n').length - 1, 'both formats are of one moment')
  if (engine === 'postgres')
    t.match((await verifyExport(one.file)).says?.snapshot.position, /^lsn [0-9A-F]+\/[0-9A-F]+ snapshot/)
  await world.inside('acme', 'delete from plain where id >= 1000')
}

async function schemaOf(t: Test, { saasctl, inside, make }: ExportWorld, engine: 'postgres' | 'mysql') {
  const { file } = await make('acme', 'proven')
  const proof = engine === 'mysql' ? 'unchanged' : 'snapshot'
  t.equal((await verifyExport(file)).says?.snapshot.schema, proof)
  const { databaseId } = (await findTenant(saasctl.catalog, 'acme')) ?? {}
  const parts = await gather(saasctl, databaseId ?? '')
  const { signal } = new AbortController()
  const before = await schemaBefore(parts)
  const readonly = await parts.logins.credentials('readonly')
  const snapshot = await parts.engine.openSnapshot(parts.access, parts.names.database, readonly, { signal })
  t.teardown(() => snapshot.end())
  await inside('acme', 'create view late as select 1 as one', 'owner')
  const found = await schemaAt(parts, snapshot, before, signal).catch(asSaasctlError)
  if (engine === 'mysql')
    t.match(found, { code: 'SERVER_BUSY', retryable: true, message: /changed while it was exported/ })
  else t.notMatch(found, { sql: /late/ })
  await inside('acme', 'drop view late', 'owner')
  t.match(await schemaAt(parts, snapshot, before, signal), { proof, sql: /CREATE TABLE/ })
}

/** The lines stand in the docs, and are run as they stand there. */
async function byHand(t: Test, world: ExportWorld) {
  const { folder } = world
  const text = await readFile(new URL('../../../docs/exports.md', import.meta.url), 'utf8')
  const lines = text.split('\n').filter(line => /^(?:sha512sum|openssl pkeyutl|tar) /.test(line))
  t.equal(lines.length, 4, 'unpack, two sums and one signature')
  await world.make('acme', 'byhand.tar.gz')
  await mkdir(join(folder, 'hand'))
  await copyFile(join(folder, 'byhand.tar.gz'), join(folder, 'hand', 'acme.tar.gz'))
  await copyFile(world.key, join(folder, 'hand', 'audit.pem'))
  const run = (script: string) => shell(`set -e; ${script}`, join(folder, 'hand'))
  const good = await run(`${lines[0]}; cp audit.pem acme-export/; cd acme-export; ${lines.slice(1).join('; ')}`)
  t.equal(good.code, 0, good.said)
  t.match(good.said, /Signature Verified Successfully/)
  const auditors = await readFile(new URL('../../../docs/auditors.md', import.meta.url), 'utf8')
  const theirs = auditors.split('\n').filter(line => /^sha512sum |^openssl .*attestation/.test(line))
  t.equal(theirs.length, 3, 'and the same in what auditors read')
  const again = await run(`cd acme-export; cp audit.pem signing.pem; ${theirs.join('; ')}`)
  t.match(again, { code: 0, said: /Signature Verified Successfully/ })
  const bad = await run(`cd acme-export; echo x >> data/tenant.json; ${lines.slice(1).join('; ')}`)
  t.not(bad.code, 0)
  t.match(bad.said, /data\/tenant\.json: FAILED/)
}

async function tampered(t: Test, world: ExportWorld) {
  const { file } = await world.make('acme', 'whole')
  const key = await readFile(world.key, 'utf8')
  const names = (await readdir(file, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(file.length + 1))
  t.ok(names.length > 15)
  const copy = join(world.folder, 'copy')
  await cp(file, copy, { recursive: true })
  const problems = async (change: () => Promise<unknown>, changed: string[] = []) => {
    await change()
    const verdict = await verifyExport(copy, key)
    t.equal(verdict.intact, false)
    t.not(verdict.signer, 'signed')
    for (const name of changed) await cp(join(file, name), join(copy, name), { force: true })
    return verdict.problems.map(problem => problem.file)
  }
  for (const name of names) {
    const path = join(copy, name)
    const size = (await readFile(join(file, name))).length
    if (size > 0) {
      const seed = Math.floor(Math.random() * size)
      t.ok((await problems(() => flip(path, seed), [name])).includes(name), `${name}, byte ${seed}`)
    }
    t.ok((await problems(() => appendFile(path, '\n'), [name])).includes(name), `${name}, one byte more`)
    t.ok((await problems(() => rm(path), [name])).includes(name), `${name}, gone`)
  }
  t.strictSame(await problems(() => writeFile(join(copy, 'data/more.txt'), '')), ['data/more.txt'])
  await rm(join(copy, 'data/more.txt'))
  t.strictSame(await problems(() => writeFile(join(copy, 'README'), '')), ['README'])
  await rm(join(copy, 'README'))
  const [plain, moved] = ['data/tables/plain.csv', 'data/tables/plain2.csv']
  t.strictSame((await problems(() => rename(join(copy, plain), join(copy, moved)), [plain])).sort(), [plain, moved])
  await rm(join(copy, moved))
  const signed = ['attestation.dsse.json', 'attestation.pae', 'attestation.sig']
  const other = (await world.make('again-1', 'other')).file
  const swap = () => Promise.all(signed.map(name => copyFile(join(other, name), join(copy, name))))
  const swapped = await problems(swap, signed)
  t.strictSame(swapped, ['attestation.dsse.json'], 'a signature of another export is none')
  const forged = await problems(async () => {
    const path = join(copy, 'attestation.pae')
    const text = (await readFile(path, 'utf8')).replace('"reason":"a test"', '"reason":"a hest"')
    await writeFile(path, text)
    const envelope = JSON.parse(await readFile(join(copy, 'attestation.dsse.json'), 'utf8'))
    envelope.payload = Buffer.from(text.slice(text.indexOf('{'))).toString('base64')
    await writeFile(join(copy, 'attestation.dsse.json'), `${canonical(envelope)}\n`)
  })
  t.strictSame(forged, ['attestation.sig'], 'a statement that was written anew is not signed')
  await rm(join(copy, 'data/tenant.json'))
  await symlink('/etc/passwd', join(copy, 'data/tenant.json'))
  t.match(await verifyExport(copy).catch(asSaasctlError), {
    code: 'INVALID_INPUT',
    message: /neither a file nor a folder/
  })
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, at)
  } finally {
    await file.close()
  }
}

async function flipped(t: Test, world: ExportWorld) {
  for (const name of ['flip.tar.gz', 'flip.zip']) {
    const { file } = await world.make('acme', name)
    const { length } = await readFile(file)
    const odd: number[] = []
    const step = Math.ceil(length / 30)
    const edges = Array.from({ length: 20 }, (_, index) => [index, length - 1 - index]).flat()
    const middle = Array.from({ length: 30 }, (_, index) => index * step + Math.floor(Math.random() * step))
    for (const at of [...edges, ...middle].filter(place => place < length)) {
      await flip(file, at)
      const verdict = await verifyExport(file).catch(asSaasctlError)
      if (verdict instanceof Error ? verdict.code !== 'INVALID_INPUT' : verdict.intact) odd.push(at)
      await flip(file, at)
    }
    t.strictSame(odd, [], `${name}: bytes whose flip was not seen`)
    t.match(await verifyExport(file), { intact: true })
    await appendFile(file, 'x')
    const longer = await verifyExport(file).catch(asSaasctlError)
    t.ok(longer instanceof Error || !longer.intact, `${name}: something behind its end`)
  }
}

async function traps(t: Test, world: ExportWorld) {
  type Header = Parameters<ReturnType<typeof pack>['entry']>[0]
  const tar = async (...headers: Header[]) => {
    const archive = pack()
    for (const header of headers) archive.entry(header, header.type && header.type !== 'file' ? '' : 'x')
    archive.finalize()
    const path = join(world.folder, 'trap.tar.gz')
    await writeFile(path, gzipSync(await buffer(archive), { level: 1 }))
    return verifyExport(path).catch(asSaasctlError)
  }
  const refused = { code: 'INVALID_INPUT' }
  t.match(await tar({ name: '../../etc/cron.d/x' }), refused, 'upwards')
  t.match(await tar({ name: 'top/a' }, { name: 'top/../../x' }), refused, 'upwards in the middle')
  t.match(await tar({ name: '/etc/passwd' }), refused, 'absolute')
  t.match(await tar({ name: 'top/c:\\windows' }), refused, 'another system’s names')
  t.match(await tar({ name: 'top/a', type: 'symlink', linkname: '/etc/passwd' }), refused, 'a link')
  t.match(await tar({ name: 'top/a', type: 'link', linkname: 'top/b' }), refused, 'a hard link')
  t.match(await tar({ name: 'top/a', type: 'character-device' }), refused, 'a device')
  t.match(await tar({ name: 'top/a' }, { name: 'top/a' }), refused, 'twice')
  t.match(await tar({ name: 'top/a' }, { name: 'top/A' }), refused, 'twice where case does not count')
  t.match(await tar({ name: 'top/a' }, { name: 'other/a' }), refused, 'beside')
  const repacked = new ZipFile()
  repacked.addBuffer(Buffer.from('x'), 'top/bagit.txt', { mode: 0o644 })
  repacked.end()
  const zip = join(world.folder, 'repacked.zip')
  await pipeline(repacked.outputStream, createWriteStream(zip))
  t.match(
    await verifyExport(zip),
    { intact: false },
    'packed where files have no kind is not what was sealed, and no link'
  )
  /** Two files and what somebody has made of their names, which are of one length. */
  const trap = async (from: string, to: string, mode = 0o100644) => {
    const archive = new ZipFile()
    archive.addBuffer(Buffer.from('x'), 'top/a1', { mode: 0o100644 })
    archive.addBuffer(Buffer.from('/etc/passwd'), 'top/a2', { mode })
    archive.end()
    const bytes = (await buffer(archive.outputStream as Readable)).toString('latin1').replaceAll(from, to)
    await writeFile(zip, Buffer.from(bytes, 'latin1'))
    return verifyExport(zip).catch(asSaasctlError)
  }
  for (const [from, to, why, mode] of [
    ['top/a2', '../../', 'upwards'],
    ['top/a2', 'top/..', 'upwards at the end'],
    ['top/a2', '/tmp/a', 'absolute'],
    ['top/a2', 'top\\a2', 'another system’s names'],
    ['top/a2', 'top/a1', 'twice'],
    ['top/a2', 'top/A1', 'twice where case does not count'],
    ['top/a2', 'tip/a2', 'beside'],
    ['top/a2', 'top/a2', 'a link', 0o120777],
    ['top/a2', 'top/a2', 'a device', 0o020644]
  ] as const) {
    const said = await trap(from, to, mode)
    const text = said instanceof Error ? said.message : (said.problems[0]?.problem ?? '')
    t.ok(text.includes(to), `in a zip, ${why}: ${text}`)
  }
  const bomb = join(world.folder, 'bomb.tar.gz')
  const archive = pack()
  const zeros = Buffer.alloc(40 * 2 ** 20)
  const written = pipeline(archive, createGzip(), createWriteStream(bomb))
  for (let index = 0; index < 2; index += 1) archive.entry({ name: `top/${index}` }, zeros)
  archive.finalize()
  await written
  t.match(await verifyExport(bomb).catch(asSaasctlError), { ...refused, message: /grows/ }, 'a bomb')
  await writeFile(bomb, 'not an archive')
  t.match(await verifyExport(bomb).catch(asSaasctlError), { ...refused, message: /no export/ })
  t.match(await verifyExport('/nowhere').catch(asSaasctlError), refused)
  const { file } = await world.make('acme', 'pointing')
  const list = join(file, 'data/datapackage.json')
  const said = await readFile(list, 'utf8')
  for (const path of [
    '../../../outside.jsonl',
    '/etc/passwd',
    'tables/../../outside',
    ['tables/plain.jsonl', '../x']
  ]) {
    const { resources, ...rest } = JSON.parse(said)
    await writeFile(list, JSON.stringify({ ...rest, resources: [{ ...resources[0], path }] }))
    t.match(await readPackage(file).catch(asSaasctlError), refused, `a table in ${path}`)
  }
}

async function encrypted(t: Test, world: ExportWorld) {
  const { folder } = world
  const make = `openssl req -x509 -newkey rsa:2048 -nodes -keyout reader.key -out reader.pem -subj /CN=reader -days 2`
  t.equal((await shell(make, folder)).code, 0)
  const print = await shell('openssl x509 -in reader.pem -noout -fingerprint -sha256', folder)
  const recipient = print.said.trim().replace(/^.*=/, '')
  // People keep both in one file.
  const certificate = (await shell('cat reader.key reader.pem', folder)).said
  const { file, id } = await world.make('acme', 'sealed.tar.gz.p7m', { certificate })
  t.notMatch((await readFile(file)).toString('latin1'), /manifest-sha512/)
  t.match(await verifyExport(file).catch(asSaasctlError), {
    code: 'INVALID_INPUT',
    message: /encrypted/,
    hint: /openssl cms/
  })
  const openIt = `openssl cms -decrypt -binary -inform DER -inkey reader.key -in sealed.tar.gz.p7m -out opened.tar.gz`
  t.equal((await shell(openIt, folder)).code, 0)
  t.match(await verifyExport(join(folder, 'opened.tar.gz')), { intact: true, says: { export: id } })
  const row = await mustFindExport(world.saasctl, id)
  t.match(row, { recipient }, 'whoever can open it is known by the fingerprint that openssl prints')
  t.notMatch(row.certificate, /PRIVATE/, 'and a private key beside the certificate goes nowhere')
  const events = await world.saasctl.catalog.query(
    `select e.action, p.payload::json->>'recipient' as recipient from saasctl.audit_event e
     join saasctl.audit_payload p using (chain, seq) where p.payload::json->>'export' = $1 order by e.seq`,
    [id]
  )
  t.strictSame(events, [
    { action: 'export.ask', recipient },
    { action: 'export.create', recipient }
  ])
  const bad = await world.make('acme', 'bad.tar.gz.p7m', { certificate: 'no certificate' }).catch(asSaasctlError)
  t.match(bad, { code: 'INVALID_INPUT', message: /certificate/ })
}

async function masked(t: Test, world: ExportWorld) {
  const path = join(world.template.env.SAASCTL_TEMPLATES, 'tiny', 'template.json')
  const before = await readFile(path, 'utf8')
  const mask = { 'plain.body': 'hash', 'odd values.body': 'drop', 'odd values.n': 'redact' }
  await writeFile(path, JSON.stringify({ ...JSON.parse(before), export: { mask } }))
  t.teardown(() => writeFile(path, before))
  const open = await world.make('acme', 'unmasked')
  t.match(await readFile(join(open.file, 'data/tables/plain.jsonl'), 'utf8'), /first/, 'only when it is asked for')
  const { file } = await world.make('acme', 'masked', { masked: true })
  const read = (name: string) => readFile(join(file, 'data/tables', name), 'utf8')
  t.notMatch((await read('plain.jsonl')) + (await read('plain.csv')), /first/)
  t.notMatch(await read('odd_20values.jsonl'), /"body"|12345678901234567890\.1234/)
  t.match(await read('odd_20values.jsonl'), /\[redacted\]/)
  const { says } = await verifyExport(file)
  t.match(says?.redactions, [
    { column: 'plain.body', rule: 'hash', how: /HMAC-SHA-256/ },
    { rule: 'drop' },
    { rule: 'redact' }
  ])
  t.match(await world.bringBack(file, 'never').catch(asSaasctlError), { code: 'INVALID_INPUT', message: /masked/ })
  await writeFile(path, JSON.stringify({ ...JSON.parse(before), export: { mask: { 'plain.bodi': 'drop' } } }))
  const odd = await world.make('acme', 'odd', { masked: true }).catch(asSaasctlError)
  t.match(odd, { code: 'INVALID_INPUT', message: /plain\.bodi/ }, 'a rule that hides nothing is no rule')
}

async function evil(t: Test, world: ExportWorld) {
  await world.tenant('evil')
  await world.inside(
    'evil',
    `create function pwn() returns text language plpgsql as $$ begin
       execute 'alter role ' || current_user || ' superuser'; return 'x'; exception when others then return current_user; end $$;
     create type ugly as (x int);
     create function ugly_text(ugly) returns text language sql as 'select public.pwn()';
     create cast (ugly as text) with function ugly_text(ugly);
     create table uglies (u ugly);
     insert into uglies values (row(1));
     create function pg_temp.x() returns int language sql as 'select 1';
     create view sneaky as select pwn()`,
    'owner'
  )
  const { file } = await world.make('evil', 'evil')
  t.match(await readFile(join(file, 'data/tables/uglies.jsonl'), 'utf8'), /ro"/, 'it ran as the read-only login')
  const supers = await world.plane.catalogAsSuperuser(client =>
    client.query(`select rolname from pg_roles where rolsuper and rolname ~ '^t0'`)
  )
  t.strictSame(supers.rows, [])
  await world.inside('evil', 'alter table uglies enable row level security', 'owner')
  const error = await world.make('evil', 'hidden').catch(asSaasctlError)
  t.match(error, { code: 'SERVER_RIGHTS', message: /[Rr]ow-level security.*uglies/ })
  t.notOk(
    (await readdir(world.folder)).some(name => name.includes('hidden')),
    'nothing is left of it'
  )
}

async function refusals(t: Test, world: ExportWorld) {
  const again = await world.make('acme', 'acme.zip').catch(asSaasctlError)
  t.match(again, { code: 'INVALID_INPUT', message: /there already/ })
  t.match(await world.make('acme', 'x.zip', { reason: ' ' }).catch(asSaasctlError), {
    code: 'INVALID_INPUT',
    message: /reason/
  })
  t.match(await world.make('nobody', 'x.zip').catch(asSaasctlError), { code: 'TENANT_NOT_FOUND' })
  const nowhere = await world.make('acme', 'no/such/folder.zip').catch(asSaasctlError)
  t.match(nowhere, { code: 'INVALID_INPUT', message: /There is no folder .*no\/such for folder\.zip\./ })
  await world.template.grow()
  await buildTemplate(world.saasctl, 'tiny', { again: false, warm: undefined }, { wait: true })
  const older = await world.bringBack(join(world.folder, 'acme.zip'), 'older').catch(asSaasctlError)
  t.match(older, { code: 'MIGRATION_CHANGED' }, 'another schema is refused before a tenant is made')
  const found = await world.saasctl.catalog.query(`select 1 from saasctl.tenant where slug in ('older', 'never')`)
  t.strictSame(found, [])
  await settle(world.saasctl)
  t.strictSame(
    (await readdir(world.folder)).filter(name => name.startsWith('.')),
    [],
    'no half of a file stays'
  )
}
