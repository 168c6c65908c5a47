import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { checkpointDue, makeCheckpoint } from '../../src/audit/checkpoint.js'
import { type CheckpointFile, readCheckpoint, writeCheckpoint } from '../../src/audit/checkpoint-file.js'
import { fetchCheckpoint, keepInStore } from '../../src/audit/checkpoint-store.js'
import { exportTrail } from '../../src/audit/export.js'
import { rotateKey } from '../../src/audit/keys.js'
import { MerkleTree } from '../../src/audit/merkle.js'
import { ownKeys } from '../../src/audit/verify/keys.js'
import { type Verified, verifyTrail } from '../../src/audit/verify/verify.js'
import { verifyFile } from '../../src/audit/verify/verify-file.js'
import { canonical } from '../../src/canonical.js'
import { EnvKeyStore } from '../../src/secrets/env-keystore.js'
import { signer } from '../../src/secrets/signing.js'
import { controlPlane } from '../support/control-plane.js'
import { randomFrom } from '../support/random-kill.js'
import { startS3 } from '../support/s3-server.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'

const tester = { name: 'tester', proof: 'asserted' } as const
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane({ addServer: false })
  t.teardown(() => plane.close())
  const folder = await mkdtemp(join(scratch, 'saasctl-trail.'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { saasctl } = plane
  const { catalog, keys } = saasctl

  const append = (chain: string, count = 1) =>
    catalog.transaction(tester, async tx => {
      for (let index = 0; index < count; index += 1)
        tx.audit({ chain, action: 'test.done', subject: `${chain}/${index}`, payload: { index, said: 'ä"\\' } })
    })
  let kept = 0
  const keep = async (): Promise<CheckpointFile> => {
    kept += 1
    const file = join(folder, `checkpoint-${kept}`)
    await writeCheckpoint(catalog, await makeCheckpoint(saasctl), file)
    return readCheckpoint(file)
  }
  const verify = async (more: { kept?: CheckpointFile; chain?: string } = {}) =>
    verifyTrail(catalog, { keys: await ownKeys(keys), ...more })
  const codes = ({ findings }: Verified) => findings.map(({ code, place }) => `${code} ${place}`)

  for (const chain of ['alpha', 'beta', 'gamma']) await append(chain, 6)
  const first = await keep()
  for (const chain of ['alpha', 'beta', 'gamma']) await append(chain, 4)
  const second = await keep()
  await append('alpha', 2)

  await t.test('a trail that nobody touched is whole, and says up to which checkpoint that is signed', async t => {
    for (const one of [undefined, first, second]) {
      const verified = await verify(one && { kept: one })
      t.strictSame(verified.findings, [])
      t.match(verified, { upTo: { number: 2, keyId: (await signer(keys)).keyId }, unsigned: 2, signer: 'trusted' })
      t.equal(verified.chains, 4, 'three, and the catalog’s own')
    }
    const alone = await verify({ chain: 'alpha' })
    t.match(alone, { findings: [], events: 12, chains: 1 })
    const strangers = await verifyTrail(catalog, { keys: [] })
    t.match(strangers, { findings: [], signer: 'unknown', upTo: { number: 2 } })
  })

  /** Does something to the tables as their owner could, looks meanwhile, and takes it back. */
  const during = async <T>(
    how: string | ((client: pg.Client) => Promise<unknown>),
    look: () => Promise<T>
  ): Promise<T> =>
    plane.catalogAsSuperuser(async client => {
      await client.query('create schema kept')
      for (const table of tables) await client.query(`create table kept.${table} as table saasctl.${table}`)
      try {
        await (typeof how === 'string' ? client.query(how) : how(client))
        return await look()
      } finally {
        for (const table of tables) {
          await client.query(`delete from saasctl.${table}`)
          await client.query(`insert into saasctl.${table} select * from kept.${table}`)
        }
        await client.query('drop schema kept cascade')
      }
    })
  const tampered = async (
    t: Test,
    what: string,
    how: string | ((client: pg.Client) => Promise<unknown>),
    expected: string[],
    more: { kept?: CheckpointFile; upTo?: number | null } = {}
  ) => {
    const verified = await during(how, () => verify(more.kept && { kept: more.kept }))
    t.strictSame(codes(verified), expected, what)
    if (more.upTo !== undefined) t.equal(verified.upTo?.number ?? null, more.upTo, `${what}: how far the claim reaches`)
    t.strictSame((await verify()).findings, [], `${what}: and whole again`)
  }
  const tables = ['audit_chain', 'audit_event', 'audit_payload', 'audit_checkpoint', 'audit_checkpoint_head']

  /** Writes a chain anew from one event on, every hash right: what somebody does who owns the tables and has time. */
  const rewrite = async (client: pg.Client, chain: string, from: number, edit: (body: string) => string) => {
    const { rows } = await client.query(
      `select seq::int, body, hash from saasctl.audit_event where chain = $1 and seq >= $2 - 1 order by seq`,
      [chain, from]
    )
    let prev = rows[0].hash as string
    for (const [index, { seq, body }] of rows.slice(1).entries()) {
      const next = (index === 0 ? edit(body) : (body as string)).replace(/"prev":"[0-9a-f]*"/, `"prev":"${prev}"`)
      prev = sha256(next)
      await client.query('update saasctl.audit_event set body = $3, hash = $4 where chain = $1 and seq = $2', [
        chain,
        seq,
        next,
        prev
      ])
    }
    await client.query('update saasctl.audit_chain set hash = $2 where chain = $1', [chain, prev])
  }
  const otherSubject = (body: string) => body.replace(/"subject":"beta\/\d"/, '"subject":"beta/none"')

  await t.test(
    'a checkpoint is kept in a store, never written over, and what it proves is proven from there',
    async t => {
      const s3 = await startS3()
      t.teardown(() => s3.close())
      const other = await plane.another(s3.env())
      for (const url of [pathToFileURL(join(folder, 'elsewhere')).href, `s3://${s3.bucket}/elsewhere`]) {
        const store = await other.stores.open(url)
        const row = second.row
        const address = await keepInStore(catalog, row, store)
        t.equal(address, `${url}/checkpoint-2`)
        const kept = await fetchCheckpoint(other.stores, address)
        t.strictSame(kept.row, row)
        t.match(await verify({ kept }), { findings: [], upTo: { number: 2 } })
        const cut = 'delete from saasctl.audit_event where chain = $$beta$$ and seq = 10'
        const found = await during(cut, () => verify({ kept }))
        t.ok(
          found.findings.some(({ place }) => place?.startsWith('beta#')),
          'with the place'
        )
        await t.rejects(keepInStore(catalog, row, store), {
          code: 'INVALID_INPUT',
          message: /has a checkpoint-2 already/
        })
        await t.rejects(fetchCheckpoint(other.stores, `${url}/checkpoint-9`), { code: 'STORE_MISSING' })
        await t.rejects(
          fetchCheckpoint(other.stores, `${address}.heads`),
          { code: 'STORE_MISSING' },
          'no signature beside it'
        )
        await store.remove('checkpoint-2.heads')
        t.equal((await fetchCheckpoint(other.stores, address)).heads, undefined)
        await store.put('checkpoint-2', Readable.from(['{}']))
        await t.rejects(fetchCheckpoint(other.stores, address), { code: 'INVALID_INPUT', message: /is no checkpoint/ })
      }
    }
  )

  await t.test('an edit shows, whatever was edited', async t => {
    const set = (column: string) => `update saasctl.audit_event set ${column} where chain = 'beta' and seq = 3`
    await tampered(t, 'a body', set(`body = replace(body, 'test.done', 'test.gone')`), ['event.edited beta#3'], {
      upTo: null
    })
    await tampered(
      t,
      'a body with its hash',
      async client => {
        await client.query(set(`body = replace(body, 'beta/2', 'beta/9')`))
        await client.query(set(`hash = encode(sha256(convert_to(body, 'UTF8')), 'hex')`))
      },
      ['event.rewritten beta#3', 'event.unlinked beta#4'].slice(1)
    )
    await tampered(t, 'a column beside the body', set(`action = 'test.gone'`), ['event.edited beta#3'])
    await tampered(t, 'a time', set(`at = at - interval '1 h'`), ['event.edited beta#3'])
    await tampered(t, 'a payload', `update saasctl.audit_payload set payload = '{}' where chain = 'beta' and seq = 3`, [
      'payload.edited beta#3'
    ])
    await tampered(
      t,
      'a member twice',
      async client => rewrite(client, 'beta', 8, body => body.replace('{"action"', '{"action":"x","action"')),
      ['event.edited beta#8'],
      { upTo: 1 }
    )
  })

  await t.test('a deletion, a gap and a truncation show', async t => {
    await tampered(t, 'one in the middle', `delete from saasctl.audit_event where chain = 'beta' and seq = 4`, [
      'event.missing beta#4'
    ])
    await tampered(t, 'the first', `delete from saasctl.audit_event where chain = 'beta' and seq = 1`, [
      'event.missing beta#1'
    ])
    await tampered(
      t,
      'the last of a checkpoint',
      `delete from saasctl.audit_event where chain = 'beta' and seq > 8`,
      ['chain.grown beta#8', 'chain.cut beta#10'].slice(0, 1),
      { upTo: 1 }
    )
    await tampered(
      t,
      'the last and the head',
      `
      delete from saasctl.audit_event where chain = 'beta' and seq > 8;
      update saasctl.audit_chain set seq = 8, hash = (select hash from saasctl.audit_event where chain = 'beta' and seq = 8) where chain = 'beta'`,
      ['chain.cut beta#10'],
      { upTo: 1 }
    )
    await tampered(
      t,
      'a whole chain, out of every table',
      tables
        .slice(0, 3)
        .concat(tables[4] ?? '')
        .map(table => `delete from saasctl.${table} where chain = 'beta'`)
        .join(';'),
      ['checkpoint.heads checkpoint 2'],
      { upTo: null }
    )
    await tampered(
      t,
      'the same, against a checkpoint kept elsewhere',
      tables
        .slice(0, 3)
        .concat(tables[4] ?? '')
        .map(table => `delete from saasctl.${table} where chain = 'beta'`)
        .join(';'),
      ['chain.cut beta#10', 'checkpoint.heads checkpoint 2'],
      { kept: second }
    )
    await tampered(
      t,
      'a payload without a word',
      `delete from saasctl.audit_payload where chain = 'beta' and seq = 4`,
      ['payload.missing beta#4']
    )
  })

  await t.test('an insertion, a reordering and a swap between tenants show', async t => {
    await tampered(
      t,
      'one more at the end',
      async client => {
        const { rows } = await client.query(
          `select body, hash from saasctl.audit_event where chain = 'beta' and seq = 10`
        )
        const body = rows[0].body
          .replace(/"prev":"[0-9a-f]*"/, `"prev":"${rows[0].hash}"`)
          .replace('"seq":10', '"seq":11')
        await client.query(
          `insert into saasctl.audit_event select chain, 11, at, action, $1, $2 from saasctl.audit_event where chain = 'beta' and seq = 10`,
          [body, sha256(body)]
        )
        await client.query(
          `insert into saasctl.audit_payload select chain, 11, salt, payload from saasctl.audit_payload where chain = 'beta' and seq = 10`
        )
      },
      ['chain.grown beta#11']
    )
    const insert = async (client: pg.Client) => {
      await client.query(`update saasctl.audit_event set seq = -seq - 1 where chain = 'beta' and seq > 4`)
      await client.query(`update saasctl.audit_event set seq = -seq where chain = 'beta' and seq < 0`)
      await client.query(
        `insert into saasctl.audit_event select 'beta', 5, at, action, replace(body, '"seq":4', '"seq":5'), hash
         from saasctl.audit_event where chain = 'beta' and seq = 4`
      )
    }
    await tampered(t, 'one more in the middle', insert, ['event.edited beta#5'], { upTo: null })
    const anew = async (client: pg.Client) => {
      await insert(client)
      for (let seq = 11; seq > 4; seq -= 1)
        await client.query(
          `update saasctl.audit_event set body = regexp_replace(body, '"seq":\\d+', '"seq":' || seq) where chain = 'beta' and seq = $1`,
          [seq]
        )
      await client.query(`delete from saasctl.audit_payload where chain = 'beta'`)
      await client.query(`update saasctl.audit_chain set seq = 11 where chain = 'beta'`)
      await rewrite(client, 'beta', 5, body => body)
    }
    await tampered(t, 'and every hash behind it anew', anew, ['event.rewritten beta#6'], { upTo: null })
    await tampered(
      t,
      'two changed about',
      `
      update saasctl.audit_event set seq = -3 where chain = 'beta' and seq = 3;
      update saasctl.audit_event set seq = 3 where chain = 'beta' and seq = 4;
      update saasctl.audit_event set seq = 4 where chain = 'beta' and seq = -3`,
      ['event.moved beta#3']
    )
    await tampered(
      t,
      'one of another tenant',
      `
      delete from saasctl.audit_event where chain = 'beta' and seq = 3;
      insert into saasctl.audit_event select 'beta', seq, at, action, body, hash from saasctl.audit_event where chain = 'alpha' and seq = 3`,
      ['event.moved beta#3']
    )
  })

  await t.test('a chain that was written anew with every hash right shows against what was signed', async t => {
    await tampered(
      t,
      'with the heads as they were',
      client => rewrite(client, 'beta', 5, otherSubject),
      ['event.rewritten beta#6'],
      { upTo: null }
    )
    await tampered(
      t,
      'between two checkpoints',
      client => rewrite(client, 'beta', 8, otherSubject),
      ['event.rewritten beta#10'],
      { upTo: 1 }
    )
    const heads = async (client: pg.Client) => {
      await rewrite(client, 'beta', 8, otherSubject)
      await client.query(
        `update saasctl.audit_checkpoint_head h set hash = e.hash from saasctl.audit_event e where e.chain = h.chain and e.seq = h.seq`
      )
    }
    await tampered(t, 'with the heads too', heads, ['checkpoint.heads checkpoint 2'], { upTo: 1 })
    const allHeads = async (client: pg.Client) => {
      await rewrite(client, 'beta', 3, otherSubject)
      await client.query(
        `update saasctl.audit_checkpoint_head h set hash = e.hash from saasctl.audit_event e where e.chain = h.chain and e.seq = h.seq`
      )
    }
    await tampered(t, 'with those of every checkpoint', allHeads, ['checkpoint.heads checkpoint 2'], { upTo: null })
    await tampered(
      t,
      'with those of every checkpoint, against one kept elsewhere',
      allHeads,
      ['event.rewritten beta#10', 'checkpoint.heads checkpoint 2'],
      { kept: second, upTo: null }
    )
    await tampered(
      t,
      'and where, against the one kept elsewhere',
      heads,
      ['event.rewritten beta#10', 'checkpoint.heads checkpoint 2'],
      { kept: second }
    )
    await tampered(
      t,
      'after the last checkpoint nothing is signed',
      client => rewrite(client, 'alpha', 12, body => body.replace('alpha/1', 'alpha/9')),
      [],
      { upTo: 2 }
    )
  })

  await t.test('a clock that went back shows', async t => {
    await tampered(
      t,
      'an event before the one before',
      async client => {
        await rewrite(client, 'beta', 8, body => body.replace(/"at":"[^"]*"/, '"at":"2020-01-01T00:00:00.000Z"'))
        await client.query(
          `update saasctl.audit_event set at = '2020-01-01T00:00:00Z' where chain = 'beta' and seq = 8`
        )
      },
      ['clock.back beta#8']
    )
  })

  /** A checkpoint with this body, signed by whoever has the key. */
  const forge = async (client: pg.Client, number: number, change: object, by = signer(keys)) => {
    const { sign, keyId } = await by
    const { rows } = await client.query('select body, at from saasctl.audit_checkpoint where number = $1', [number])
    const body = canonical({ ...JSON.parse(rows[0].body), keyId, ...change })
    await client.query(
      'update saasctl.audit_checkpoint set body = $2, signature = $3, key_id = $4, at = $5 where number = $1',
      [number, body, sign(Buffer.from(body)), keyId, JSON.parse(body).at]
    )
  }

  await t.test('a checkpoint that was edited, replayed, left out, or signed with another key shows', async t => {
    await tampered(
      t,
      'edited',
      `update saasctl.audit_checkpoint set body = replace(body, '"chains":4', '"chains":3') where number = 2`,
      ['checkpoint.signature checkpoint 2'],
      { upTo: 1 }
    )
    await tampered(
      t,
      'replayed',
      `update saasctl.audit_checkpoint c set body = o.body, signature = o.signature from saasctl.audit_checkpoint o where c.number = 2 and o.number = 1`,
      ['checkpoint.replayed checkpoint 2'],
      { upTo: 1 }
    )
    await tampered(
      t,
      'left out',
      'delete from saasctl.audit_checkpoint where number = 1',
      ['checkpoint.missing checkpoint 1'],
      { upTo: null }
    )
    const { FileKeyStore } = await import('../../src/secrets/file-keystore.js')
    const stranger = signer(new FileKeyStore(join(folder, 'stranger')))
    await tampered(
      t,
      'signed with another key',
      client => forge(client, 2, {}, stranger),
      ['checkpoint.key checkpoint 2'],
      { upTo: 1 }
    )
    await tampered(
      t,
      'with the name of our key',
      async client => {
        await forge(client, 2, { keyId: (await signer(keys)).keyId }, stranger)
        await client.query('update saasctl.audit_checkpoint set key_id = $1 where number = 2', [
          (await signer(keys)).keyId
        ])
      },
      ['checkpoint.signature checkpoint 2']
    )
    await tampered(t, 'its clock went back', client => forge(client, 2, { at: '2020-01-01T00:00:00.000Z' }), [
      'checkpoint.key checkpoint 2'
    ])
  })

  await t.test(
    'a rewound catalog shows against a checkpoint kept elsewhere, and a fork after a restore does too',
    async t => {
      const rewind = `
      delete from saasctl.audit_checkpoint where number = 2;
      delete from saasctl.audit_checkpoint_head where number = 2;
      delete from saasctl.audit_payload where seq > 6 and chain <> 'catalog';
      delete from saasctl.audit_event where seq > 6 and chain <> 'catalog';
      update saasctl.audit_chain c set seq = 6, hash = e.hash from saasctl.audit_event e where e.chain = c.chain and e.seq = 6 and c.chain <> 'catalog'`
      await tampered(t, 'by itself it is a catalog as any other', rewind, [], { upTo: 1 })
      const lost = ['chain.cut alpha#10', 'chain.cut beta#10', 'chain.cut gamma#10']
      await tampered(t, 'rewound', rewind, ['catalog.rewound checkpoint 2', ...lost], { kept: second })
      const fork = async (client: pg.Client) => {
        await client.query(rewind)
        for (const chain of ['alpha', 'beta', 'gamma']) await append(chain, 5)
        await makeCheckpoint(saasctl)
      }
      await tampered(
        t,
        'and went on',
        fork,
        [
          'checkpoint.other checkpoint 2',
          'event.rewritten alpha#10',
          'event.rewritten beta#10',
          'event.rewritten gamma#10'
        ],
        { kept: second, upTo: 1 }
      )
    }
  )

  await t.test('seeded random tampering is found every time, at its place', async t => {
    const seed = Date.now() % 1_000_000
    t.comment(`seed ${seed}`)
    const next = randomFrom(seed)
    const random = (below: number) => Math.floor(next() * below)
    for (let round = 0; round < 12; round += 1) {
      const chain = ['alpha', 'beta', 'gamma'][random(3)] ?? 'alpha'
      const seq = 1 + random(10)
      const at = `chain = '${chain}' and seq = ${seq}`
      const byte = random(60)
      const way = random(5)
      const how =
        [
          `update saasctl.audit_event set body = overlay(body placing '~' from ${20 + byte} for 1) where ${at}`,
          `update saasctl.audit_event set hash = overlay(hash placing '~' from ${1 + byte} for 1) where ${at}`,
          `update saasctl.audit_payload set salt = set_byte(salt, ${byte % 16}, (get_byte(salt, ${byte % 16}) + 1) % 256) where ${at}`,
          `delete from saasctl.audit_event where ${at}`,
          `update saasctl.audit_event set at = at + interval '1 us' where ${at}`
        ][way] ?? ''
      // Where the last one is gone, the chain ends too soon: at the one before.
      const place = `${chain}#${way === 3 && chain !== 'alpha' && seq === 10 ? 9 : seq}`
      const verified = await during(how, () => verify())
      t.ok(
        verified.findings.some(found => found.place === place),
        `${how}: ${codes(verified)}`
      )
    }
  })

  await t.test('what was erased with a word leaves the chain whole, and nothing of it can be read', async t => {
    await append('erased', 3)
    await catalog.transaction(tester, async tx => {
      tx.audit({ chain: 'erased', action: 'test.end', subject: 'x', payload: { secret: true } })
      tx.audit({ chain: 'erased', action: 'audit.erase', subject: 'x', payload: { why: 'asked for' }, erases: true })
    })
    t.match(await verify({ chain: 'erased' }), { findings: [], events: 5 })
    t.strictSame(await catalog.query(`select seq::int, payload from saasctl.audit_payload where chain = 'erased'`), [
      { seq: 5, payload: '{"why":"asked for"}' }
    ])
    await append('erased', 2)
    await tampered(
      t,
      'but not what came after',
      `delete from saasctl.audit_payload where chain = 'erased' and seq = 6`,
      ['payload.missing erased#6']
    )
  })

  await t.test(
    'an exported trail verifies without the catalog; a flipped byte, a cut and a lost chain do not',
    async t => {
      const third = await keep()
      const lines: string[] = []
      for await (const text of exportTrail(catalog)) lines.push(...text.split(/(?<=\n)/))
      const file = join(folder, 'trail.ndjson')
      const check = async (content: string[], kept?: CheckpointFile) => {
        await writeFile(file, content.join(''))
        return verifyFile(file, { keys: await ownKeys(keys), kept })
      }
      t.match(await check(lines, third), { findings: [], events: lines.length - 1, upTo: { number: 3 } })
      t.match(await check(lines), { findings: [], upTo: null }, 'by itself it proves nothing of its end')
      const at = lines.findIndex(line => line.includes('"chain":"beta"'))
      const flipped = lines.with(at, (lines[at] ?? '').replace('test.done', 'test.dome'))
      t.match(codes(await check(flipped)), ['event.edited beta#1'])
      await t.rejects(check(lines.slice(0, -1)), { code: 'INVALID_INPUT', message: /cut off/ })
      await t.rejects(check(lines.toSpliced(at, 1)), { code: 'INVALID_INPUT', message: /events and says/ })
      await t.rejects(check(['nonsense']), { code: 'INVALID_INPUT', message: /line 1/ })
      await t.rejects(verifyFile(join(folder, 'none'), { keys: [] }), {
        code: 'INVALID_INPUT',
        message: /no such file/
      })
      await t.rejects(verifyFile(folder, { keys: [] }), { code: 'INVALID_INPUT', message: /a directory/ })
      const nothing = {
        ...JSON.parse(lines[at] ?? ''),
        body: 'null',
        hash: createHash('sha256').update('null').digest('hex')
      }
      t.match(codes(await check(lines.with(at, `${canonical(nothing)}\n`))), ['event.edited beta#1'])
      const without = lines.filter(line => !line.includes('"chain":"beta"'))
      const ended = without.with(-1, `${canonical({ events: without.length - 1, type: 'end' })}\n`)
      t.strictSame((await check(ended)).findings, [], 'a chain that is left out is not missed by itself')
      t.strictSame(codes(await check(ended, third)), ['chain.cut beta#10'], 'but by the checkpoint')
      let first = ''
      for await (const text of exportTrail(catalog)) {
        first = text
        break
      }
      t.match(first, /^\{"action"/, 'who stops reading leaves nothing open')
    }
  )

  await t.test('checkpoints signed before a key was changed still count, and the change is in the trail', async t => {
    const before = (await signer(keys)).keyId
    await rotateKey(saasctl)
    await keep()
    t.match(await verify({ kept: first }), { findings: [], upTo: { number: 4, keyId: (await signer(keys)).keyId } })
    const [event] = await catalog.query(`select payload from saasctl.audit_payload where chain = 'key'`)
    t.match(event, { payload: new RegExp(before) })
    const stale = (await ownKeys(keys)).filter(({ keyId }) => keyId === before)
    t.strictSame(codes(await verifyTrail(catalog, { keys: stale })), ['checkpoint.key checkpoint 4'])
  })

  await t.test('checkpoints made at once follow one after the other', async t => {
    const made = await Promise.all([1, 2, 3].map(() => makeCheckpoint(saasctl)))
    t.strictSame(made.map(({ number }) => number).sort(), [5, 6, 7])
    t.strictSame((await verify()).findings, [])
  })

  await t.test('workers sign when time has passed and the trail went on, and not for nothing', async t => {
    t.equal(await checkpointDue(saasctl, 0), false, 'nothing was appended since')
    await append('gamma')
    t.equal(await checkpointDue(saasctl, 3_600_000), false, 'the newest is young')
    t.equal(await checkpointDue(saasctl, 0), true)
    t.equal(await checkpointDue({ ...saasctl, keys: new EnvKeyStore({}) }, 0), false)
    await append('gamma')
    t.equal(await checkpointDue({ ...saasctl, keys: new EnvKeyStore({}) }, 0), false, 'without a place for keys none')
  })

  await t.test('a checkpoint file that is damaged, half there or none is refused in one sentence', async t => {
    await t.rejects(readCheckpoint(join(folder, 'none')), {
      code: 'INVALID_INPUT',
      message: /cannot be used: no such file/
    })
    await writeFile(join(folder, 'half'), await readFile(join(folder, 'checkpoint-1')))
    await t.rejects(readCheckpoint(join(folder, 'half')), { code: 'INVALID_INPUT', message: /half\.sig/ })
    await writeFile(join(folder, 'half.sig'), Buffer.alloc(64))
    t.strictSame(codes(await verify({ kept: await readCheckpoint(join(folder, 'half')) })), [
      'checkpoint.signature checkpoint 1'
    ])
    const row = first.row
    await t.rejects(writeCheckpoint(catalog, row, join(folder, 'half')), {
      code: 'INVALID_INPUT',
      message: /is there already/
    })
    await t.rejects(readFile(join(folder, 'half.heads')), { code: 'ENOENT' }, 'and nothing is left beside it')
    const heads = (await readFile(join(folder, 'checkpoint-2.heads'), 'utf8')).replace('"seq":10', '"seq":9')
    await writeFile(join(folder, 'checkpoint-2.heads'), heads)
    t.ok(codes(await verify({ kept: second })).includes('checkpoint.heads checkpoint 2'))
  })

  await t.test('the tree is that of RFC 6962, for any number of heads', async t => {
    const h = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
    const head = (seq: number) => ({ chain: 'x', seq, hash: 'y' })
    const leaf = (seq: number) => h(Buffer.of(0), Buffer.from(canonical(head(seq))))
    const tree = (from: number, to: number): Buffer => {
      if (to - from === 1) return leaf(from)
      let half = 1
      while (half * 2 < to - from) half *= 2
      return h(Buffer.of(1), tree(from, from + half), tree(from + half, to))
    }
    for (let size = 1; size <= 20; size += 1) {
      const ours = new MerkleTree()
      for (let seq = 0; seq < size; seq += 1) ours.add(head(seq))
      t.equal(ours.root(), tree(0, size).toString('hex'), `${size} heads`)
    }
  })
}
