import { inspect } from 'node:util'
import type { Test } from 'tap'
import * as orm from 'typeorm'
import type { TenantPool } from '../../../src/routing/tenant-pool.js'
import { Animal, Cat, Dog, events, Folder, Post, Settings, Tag, User, UserCount } from './entities.js'
import type { World, WorldTenant } from './world.js'

interface Both {
  name: string
  db: orm.DataSource
}

/** What must be true when two tenants work at the same time with one set of metadata. */
export async function twoAtOnce(t: Test, world: World) {
  const { routing, template, tenants, sql, duplicate, agreesWithItself } = world
  const { budget, pools } = world.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  events.length = 0
  const opened = pools.map((pool, index) => {
    const lease = pool.lease()
    const { database } = tenants[index] as WorldTenant
    return { lease, name: database, db: routing.dataSource(template, database, lease) }
  })
  t.teardown(() => opened.map(({ lease }) => lease.end()))
  const both = <T>(act: (tenant: Both) => Promise<T>): Promise<T[]> => Promise.all(opened.map(act))
  const [first, second] = opened as unknown as [Both, Both]

  t.test('metadata is the same object, what leads to a database is not', async t => {
    t.equal(first.db.getMetadata(User), second.db.getMetadata(User))
    t.not(first.db.manager, second.db.manager)
    t.not(first.db.getRepository(User), second.db.getRepository(User))
    t.equal(first.db.getRepository(User), first.db.getRepository(User))
    t.equal(first.db.getRepository(User).manager, first.db.manager)
    t.ok(first.db instanceof orm.DataSource)
    t.equal(first.db.isInitialized, true)
    t.equal(template.entities, first.db.entityMetadatas.length)
  })

  t.test('rows with cascades, many-to-many and embedded columns go to their own tenant', async t => {
    for (let turn = 0; turn < 25; turn += 1) {
      await both(({ db, name }) => {
        const users = db.getRepository(User)
        const posts = [{ title: `${name} post ${turn}`, tags: [{ name: `${name} tag ${turn}` }] }]
        return users.save(users.create({ name: `${name} ${turn}`, address: { city: name }, posts }))
      })
    }
    const found = await both(({ db }) => db.getRepository(User).find({ relations: { posts: { tags: true } } }))
    for (const [index, users] of found.entries()) {
      const { name } = opened[index] as Both
      t.equal(users.length, 25)
      t.ok(users.every(user => user.name.startsWith(name) && user.address.city === name))
      t.ok(users.every(({ posts: [post] }) => post?.title.startsWith(name) && post.tags[0]?.name.startsWith(name)))
    }
  })

  t.test('updates count versions, soft deletes hide and come back, upserts change what is there', async t => {
    await both(async ({ db, name }) => {
      const users = db.getRepository(User)
      const user = await users.findOneByOrFail({ name: `${name} 1` })
      user.address.city = 'moved'
      await users.save(user)
      t.match(await users.findOneByOrFail({ id: user.id }), { version: 2, address: { city: 'moved' } })
      await users.softRemove(user)
      t.equal(await users.findOneBy({ id: user.id }), null)
      await users.restore(user.id)
      await users.upsert({ name: `${name} 2`, address: { city: 'upserted' } }, ['name'])
      t.match(await users.findOneByOrFail({ name: `${name} 2` }), { address: { city: 'upserted' } })
      t.equal(await users.count(), 25)
    })
  })

  t.test('the query builder joins, nests, loads relations and has common table expressions', async t => {
    await both(async ({ db, name }) => {
      const users = await db
        .createQueryBuilder(User, 'u')
        .leftJoinAndSelect('u.posts', 'p')
        .leftJoinAndSelect('p.tags', 't')
        .where(builder => `u.id IN ${builder.subQuery().select('p2.authorId').from(Post, 'p2').getQuery()}`)
        .orderBy('u.id')
        .take(5)
        .getMany()
      t.equal(users.length, 5)
      t.ok(users.every(user => user.name.startsWith(name) && user.posts[0]?.tagIds.length === 1))
      const [related] = await db.createQueryBuilder().relation(User, 'posts').of(users[0]).loadMany<Post>()
      t.ok(related?.title.startsWith(name))
      const counted = await db
        .createQueryBuilder()
        .addCommonTableExpression('select id from users', 'known')
        .select('count(*)', 'n')
        .from('known', 'k')
        .getRawOne()
      t.equal(Number(counted.n), 25)
    })
  })

  t.test('transactions commit, roll back and nest, each with its own tenant’s manager', async t => {
    await both(async ({ db, name }) => {
      await db.transaction(async manager => {
        t.equal(manager.dataSource, db)
        await manager.getRepository(Tag).save({ name: `${name} outer` })
        await manager.transaction(nested => nested.save(Tag, { name: `${name} nested` }))
        await manager
          .transaction(async nested => {
            await nested.save(Tag, { name: `${name} undone` })
            throw new Error('undo')
          })
          .catch(() => {})
      })
      const failed = db.transaction('SERIALIZABLE', async manager => {
        await manager.save(Tag, { name: `${name} rolled back` })
        throw new Error('as planned')
      })
      await t.rejects(failed, { message: 'as planned' })
      const names = (await db.getRepository(Tag).find()).map(tag => tag.name)
      t.ok(names.every(tag => tag.startsWith(name)))
      t.ok(names.includes(`${name} outer`) && names.includes(`${name} nested`))
      t.notOk(names.includes(`${name} undone`) || names.includes(`${name} rolled back`))
    })
  })

  t.test('a subscriber is told with the tenant’s own DataSource', async t => {
    t.ok(events.length >= 100)
    t.ok(events.every(({ database, name, own }) => own && database !== undefined && name.startsWith(database)))
  })

  t.test('single-table inheritance, closure trees, views and schemas without a class', async t => {
    await both(async ({ db, name }) => {
      await db.manager.save(Object.assign(new Dog(), { name, bark: 3 }))
      await db.manager.save(Object.assign(new Cat(), { name, meow: 4 }))
      const animals = await db.getRepository(Animal).find({ order: { id: 'ASC' } })
      t.ok(animals[0] instanceof Dog && animals[1] instanceof Cat && animals.every(animal => animal.name === name))
      t.equal(await db.getRepository(Dog).count(), 1)

      const folders = db.getTreeRepository(Folder)
      const root = await folders.save({ name: `${name} root` })
      await folders.save({ name: `${name} leaf`, parent: root })
      const [tree] = await folders.findTrees()
      t.equal(tree?.children[0]?.name, `${name} leaf`)

      t.equal(Number((await db.getRepository(UserCount).find())[0]?.count), 25)

      const settings = db.getRepository(Settings)
      await settings.save({ key: 'owner', value: { of: name } })
      t.same(await settings.findOneByOrFail({ key: 'owner' }), { key: 'owner', value: { of: name } })
    })
  })

  t.test('repositories of one’s own follow the manager that they are used with', async t => {
    await both(async ({ db }) => {
      const users = db.getRepository(User).extend({
        all() {
          return this.createQueryBuilder('u').getCount()
        }
      })
      t.equal(await users.all(), 25)
      t.equal(await db.transaction(manager => manager.withRepository(users).all()), 25)
    })
    const ofFirst = first.db.getRepository(User).extend({})
    const [name] = await second.db.transaction(manager => manager.withRepository(ofFirst).find({ take: 1 }))
    t.ok(name?.name.startsWith(second.name), 'also one that was made for another tenant')
  })

  t.test('rows may be locked for reading and for writing, and whoever will not wait need not', async t => {
    await both(async ({ db }) => {
      for (const mode of ['pessimistic_read', 'pessimistic_write'] as const) {
        await db.transaction(async manager => {
          const holder = manager.getRepository(Tag)
          t.equal((await holder.find({ take: 2, order: { id: 'ASC' }, lock: { mode } })).length, 2)
          const other = (onLocked: 'nowait' | 'skip_locked') =>
            db.transaction(another =>
              another.getRepository(Tag).find({ lock: { mode: 'pessimistic_write', onLocked }, order: { id: 'ASC' } })
            )
          await t.rejects(other('nowait'), orm.QueryFailedError)
          t.ok((await other('skip_locked')).length < 27)
        })
      }
      await db.transaction(async manager => {
        await manager.getRepository(Tag).find({ lock: { mode: 'pessimistic_write' } })
        const reading = (onLocked: 'nowait' | 'skip_locked') =>
          db.transaction(another => another.getRepository(Tag).find({ lock: { mode: 'pessimistic_read', onLocked } }))
        await t.rejects(reading('nowait'), orm.QueryFailedError)
        t.same(await reading('skip_locked'), [])
      })
    })
  })

  t.test('raw statements, query runners and the schema’s diff see their own database', async t => {
    await both(async ({ db, name }) => {
      t.equal((await db.query(sql.here))[0].name, name)
      t.equal((await db.sql`select ${name} as name`)[0].name, name)
      const runner = db.createQueryRunner()
      try {
        t.equal(runner.dataSource, db)
        t.ok(await runner.hasTable('users'))
        t.equal(await runner.getCurrentDatabase(), name)
      } finally {
        await runner.release()
      }
      if (!agreesWithItself) return
      const { upQueries } = await db.driver.createSchemaBuilder().log()
      t.same(
        upQueries.map(({ query }) => query),
        [],
        'the shared metadata says what stock TypeORM has made'
      )
    })
  })

  t.test('an answer to the application’s own statement is TypeORM’s, with the driver’s error in it', async t => {
    await both(async ({ db, name }) => {
      const error = await db
        .getRepository(User)
        .insert({ name: `${name} 3`, address: {} })
        .catch(error => error)
      t.ok(error instanceof orm.QueryFailedError)
      t.match(error, { driverError: duplicate })
      t.equal(routing.explain(error), undefined)
    })
  })

  t.test('hundreds of turns of two tenants on four connections, nine statements each, never cross', async t => {
    let crossings = 0
    const turn = async (index: number) => {
      const { name } = opened[index] as Both
      const lease = (pools[index] as TenantPool).lease()
      try {
        const db = routing.dataSource(template, name, lease)
        const users = await db.getRepository(User).find({ take: 3, order: { id: 'DESC' }, relations: { posts: true } })
        const written = await db.transaction(async manager => {
          await manager.save(Tag, { name: `${name} turn` })
          return manager.query(sql.here)
        })
        const right =
          users.length === 3 && users.every(user => user.name.startsWith(name) && user.posts[0]?.title.startsWith(name))
        if (!right || written[0].name !== name) crossings += 1
      } finally {
        lease.end()
      }
    }
    const lane = async (_: unknown, start: number) => {
      for (let turns = 0; turns < 80; turns += 1) await turn((start + turns) % 2)
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    t.equal(crossings, 0)
    await both(async ({ db, name }) => {
      const strangers = await db.getRepository(Tag).countBy({ name: orm.Not(orm.Like(`${name}%`)) })
      t.equal(strangers, 0)
      t.equal(await db.getRepository(Tag).countBy({ name: `${name} turn` }), 320)
    })
    t.match(budget.statistics, { lent: 0, waiting: 0 })
  })

  t.test('no password is in a DataSource, its options or what they print', async t => {
    const runner = first.db.createQueryRunner()
    await runner.connect()
    const seen = inspect(first.db, { depth: 6, showHidden: true }) + JSON.stringify(first.db.options)
    await runner.release()
    for (const password of tenants.flatMap(({ passwords }) => passwords)) t.notOk(seen.includes(password))
    t.equal(first.db.options.database, first.name)
    t.notOk('password' in first.db.options || 'url' in first.db.options)
  })

  t.test('changing the options of one changes no other', async t => {
    first.db.setOptions({ isolationLevel: 'SERIALIZABLE' })
    t.equal(second.db.options.isolationLevel, undefined)
  })

  t.test('destroying one ends that one', async t => {
    const lease = (pools[0] as TenantPool).lease()
    const other = routing.dataSource(template, first.name, lease)
    const runner = other.createQueryRunner()
    await runner.query('select 1')
    await other.destroy()
    t.equal(lease.held, 0)
    await t.rejects(other.getRepository(User).count(), /destroyed/)
    t.equal(await first.db.getRepository(User).count(), 25)
    t.equal(await second.db.getRepository(User).count(), 25)
    lease.end()
  })
}
