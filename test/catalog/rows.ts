import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { approvable } from '../../src/approvable.js'
import { makeCheckpoint } from '../../src/audit/checkpoint.js'
import { listApprovals } from '../../src/catalog/approvals.js'
import { findCheckpoint } from '../../src/catalog/checkpoints.js'
import * as databases from '../../src/catalog/databases.js'
import { holdOf } from '../../src/catalog/holds.js'
import { readInstance } from '../../src/catalog/instance.js'
import { loginsOf } from '../../src/catalog/logins.js'
import * as operations from '../../src/catalog/operations.js'
import { listOperators } from '../../src/catalog/operators.js'
import { listPlans, planByName } from '../../src/catalog/plans.js'
import { findRoute, findRoutes, revisionsOf } from '../../src/catalog/routes.js'
import * as servers from '../../src/catalog/servers.js'
import { catalogStatus } from '../../src/catalog/status.js'
import * as templates from '../../src/catalog/templates.js'
import { findTenant, listTenants, lockTenant } from '../../src/catalog/tenants.js'
import { warmTargets } from '../../src/catalog/warm.js'
import { heartbeat, liveWorkers } from '../../src/catalog/workers.js'
import { packageFolder } from '../../src/config.js'
import { serverAccess } from '../../src/databases/access.js'
import { Logins } from '../../src/databases/logins.js'
import { loginRoles } from '../../src/engines/engine.js'
import { uuidv7 } from '../../src/names.js'
import { approve } from '../../src/operators/approvals.js'
import { updateServer } from '../../src/servers/change.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { applyPlans } from '../../src/templates/plans.js'
import { createTenant } from '../../src/tenants/create.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { askHold, askRelease } from '../../src/tenants/hold.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { updateTenant } from '../../src/tenants/update.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { asOperator } from '../support/operators.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** The members of an interface as its source says them: name → type. */
type Members = Map<string, string>

const sources = await Promise.all(
  (await readdir(join(packageFolder, 'src', 'catalog'))).map(name =>
    readFile(join(packageFolder, 'src', 'catalog', name), 'utf8')
  )
)

function membersOf(name: string): Members {
  const pattern = new RegExp(`interface ${name}(?:<[^{]*>)?(?: extends ([\\w, ]+))? \\{\\n([\\s\\S]*?)\\n\\}`)
  const found = sources.map(text => pattern.exec(text)).find(match => match !== null)
  if (!found) throw new Error(`There is no interface ${name} in src/catalog.`)
  const members: Members = new Map()
  for (const parent of found[1]?.split(', ') ?? []) for (const [key, type] of membersOf(parent)) members.set(key, type)
  for (const [, key = '', type = ''] of (found[2] ?? '').matchAll(/^ {2}(\w+): (.*)$/gm)) members.set(key, type)
  return members
}

/** Where each row comes from, and the columns that it leaves to others, with the reason. */
const tables: Record<string, { table: string; without?: Record<string, string> }> = {
  ReferenceRow: { table: 'schema_reference' },
  DriftRow: { table: 'drift' },
  AdoptionRow: { table: 'adoption' },
  Instance: {
    table: 'instance',
    without: { one: 'there is one row', created_at: 'for people who read the table', adopted_at: 'as well' }
  },
  ServerRow: { table: 'server' },
  TemplateRow: { table: 'template' },
  PlanRow: { table: 'plan' },
  TenantRow: {
    table: 'tenant',
    without: {
      status_before_delete: 'read by the undelete alone',
      cache_version: 'routers read it',
      held: 'routers read it, as a status'
    }
  },
  BackupRow: { table: 'backup' },
  DatabaseRow: {
    table: 'database',
    without: { dropped_at: 'for people who read the table', schema_stamp: 'read and written by who verifies a fleet' }
  },
  DataKeyRow: { table: 'data_key' },
  LoginRow: { table: 'login', without: { changed_at: 'for people who read the table' } },
  WarmTarget: { table: 'warm_target' },
  OperationRow: { table: 'operation', without: { idempotency_key: 'found by, never shown' } },
  StepRow: { table: 'operation_step', without: { operation_id: 'asked for by it' } },
  WorkerRow: { table: 'worker', without: { queue_ids: 'read where the dead are buried' } },
  ExportRow: { table: 'export' },
  OperatorRow: { table: 'operator' },
  ApprovalRow: { table: 'approval' },
  HoldRow: { table: 'hold' },
  CheckpointRow: { table: 'audit_checkpoint' },
  RouteRow: { table: 'route', without: { router_connections: 'the routers’ function reads it' } }
}

const inSql = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** What the driver makes of a column's type. Text and JSON may have any narrower type. */
const driven: Record<string, string> = {
  integer: 'number',
  bigint: 'number',
  boolean: 'boolean',
  'timestamp with time zone': 'Date',
  bytea: 'Buffer'
}

/** Whether a value is of the type that the source says, as far as JavaScript can tell. */
function fits(value: unknown, type: string): boolean {
  if (value === null) return /\| null$/.test(type)
  const plain = type.replace(/ \| null$/, '')
  if (plain === 'Date') return value instanceof Date
  if (plain === 'Buffer') return Buffer.isBuffer(value)
  if (['string', 'number', 'boolean'].includes(plain)) return typeof value === plain
  return value !== undefined && (/^'/.test(plain) ? typeof value === 'string' : true)
}

const newPassword = 'update saasctl.login set version = version + 1 where database_id = $1'
const newWrap = `update saasctl.data_key set wrapped = wrapped || '\\x00' where database_id = $1`
const voidCaches = 'update saasctl.tenant set cache_version = cache_version + 1 where id ='

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  await buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait)
  const create = async (slug: string, more = {}) => createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, wait)
  const { tenant } = await create('acme')
  await create('globex', { plan: 'large', idempotencyKey: 'one', labels: { tier: 'gold' } })
  await buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait)

  t.test('each row type names the columns of its table, as what they are', async t => {
    for (const [name, { table, without = {} }] of Object.entries(tables)) {
      const columns = await plane.catalogAsSuperuser(
        async client =>
          (
            await client.query<{ column: string; type: string; nullable: boolean; view: boolean }>(
              `select c.column_name as column, c.data_type as type, c.is_nullable = 'YES' as nullable, t.table_type = 'VIEW' as view
               from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
               where c.table_schema = 'saasctl' and c.table_name = $1`,
              [table]
            )
          ).rows
      )
      const members = membersOf(name)
      t.ok(members.size > 2, `${name} was read`)
      t.strictSame(
        [...members.keys()].map(inSql).sort(),
        columns
          .map(({ column }) => column)
          .filter(column => !(column in without))
          .sort(),
        name
      )
      for (const column of Object.keys(without))
        t.ok(
          columns.some(one => one.column === column),
          `${table}.${column} is there`
        )
      for (const [member, type] of members) {
        const column = columns.find(one => one.column === inSql(member))
        const plain = type.replace(/ \| null$/, '')
        const wanted = driven[column?.type ?? '']
        const same = wanted ? plain === wanted : !Object.values(driven).includes(plain)
        t.ok(same, `${name}.${member} is ${plain}, ${table}.${inSql(member)} is ${column?.type}`)
        if (!column?.view) t.equal(/\| null$/.test(type), column?.nullable, `${name}.${member} is ${type}`)
      }
    }
  })

  t.test('every query gives what its row type says', async t => {
    const [server] = await servers.listServers(catalog)
    const serverId = server?.id ?? ''
    const [templateRow] = await templates.listTemplates(catalog)
    const templateId = templateRow?.id ?? ''
    const databaseId = tenant.databaseId ?? ''
    const logins = await loginsOf(catalog, databaseId)
    await heartbeat(catalog, { id: uuidv7(), host: 'here', pid: 1, version: '0' }, ['q'])
    const suspended = await suspendTenant(saasctl, 'acme', { wait: false })
    const id = suspended.operation.id
    const [ada, grace] = [await asOperator(saasctl, 'ada'), await asOperator(saasctl, 'grace')]
    await approve(grace, (await askHold(ada, 'globex', 'litigation')).id, approvable, wait)
    await askRelease(ada, 'globex', 'settled')
    await makeCheckpoint(saasctl)
    const globex = (await findTenant(catalog, 'globex'))?.id ?? ''
    const anyServer = { engine: null, server: null, region: null, templateId }
    const rows: Array<[type: string, more: string[], rows: unknown]> = [
      ['Instance', [], await readInstance(catalog)],
      ['CatalogStatus', [], await catalogStatus(catalog)],
      ['ServerRow', [], server],
      ['ServerRow', [], await servers.serverByName(catalog, 'main')],
      ['ServerRow', [], await servers.serverById(catalog, serverId)],
      ['ServerRow', [], await servers.serversWithRoom(catalog, anyServer)],
      ['TemplateRow', [], templateRow],
      ['TemplateRow', [], await templates.templateById(catalog, templateId)],
      ['TemplateRow', [], await templates.newestTemplate(catalog, 'tiny')],
      ['TemplateRow', [], await templates.builtTemplate(catalog, 'tiny')],
      ['PlanRow', [], await listPlans(catalog)],
      ['PlanRow', [], await planByName(catalog, 'small')],
      ['PlacedTenant', [], await findTenant(catalog, 'acme')],
      ['PlacedTenant', [], await findTenant(catalog, tenant.id)],
      ['PlacedTenant', [], await listTenants(catalog, {}, { limit: 10 })],
      ['TenantRow', [], await lockTenant(catalog, tenant.id)],
      ['DatabaseRow', [], await databases.databaseById(catalog, databaseId)],
      ['DatabaseRow', [], await databases.templateDatabase(catalog, serverId, templateId)],
      ['DatabaseRow', ['tenantId', 'slug'], await databases.databasesOnServer(catalog, serverId)],
      ['BuiltTemplate', [], await databases.builtTemplates(catalog, 'tiny')],
      ['WarmCount', [], await databases.countWarm(catalog, templateId)],
      ['WarmTarget', [], await warmTargets(catalog)],
      ['LoginRow', ['key'], logins],
      ['DataKeyRow', [], logins.map(({ key }) => key)],
      ['OperationRow', ['job'], suspended.operation],
      ['OperationRow', [], await operations.operationById(catalog, id)],
      ['OperationRow', [], await operations.operationByKey(catalog, 'one')],
      ['OperationRow', [], await operations.openOperationOf(catalog, tenant.id, true)],
      ['OperationRow', [], await operations.openOperationOn(catalog, 'tenant.suspend', `tenant:${tenant.id}`)],
      ['OperationRow', [], await operations.orphanedOperations(catalog)],
      ['OperationRow', ['slug'], await operations.listOperations(catalog, { limit: 100 })],
      ['StepRow', [], await operations.stepsOf(catalog, id)],
      ['WorkerRow', [], await liveWorkers(catalog, 20)],
      ['RouteRow', [], await findRoute(catalog, { by: 'slug', value: 'globex' })],
      ['RouteRow', [], await findRoutes(catalog, [tenant.id])],
      ['OperatorRow', ['tokenUntil'], await listOperators(catalog)],
      ['NamedApproval', [], await listApprovals(catalog, { all: true, limit: 9 })],
      ['HoldRow', [], await holdOf(catalog, globex)],
      ['CheckpointRow', [], await findCheckpoint(catalog)],
      ['Revision', [], await revisionsOf(catalog, [tenant.id])]
    ]
    for (const [name, more, found] of rows) {
      const list = (Array.isArray(found) ? found : [found]) as Array<Record<string, unknown>>
      t.ok(list.length > 0 && list[0] !== undefined, `${name}: there is a row`)
      const members = membersOf(name)
      for (const row of list) {
        t.strictSame(Object.keys(row ?? {}).sort(), [...members.keys(), ...more].sort(), name)
        for (const [member, type] of members) t.ok(fits(row?.[member], type), `${name}.${member} is ${type}`)
      }
    }
    await catalog.query('delete from saasctl.worker')
    await saasctl.operations.follow(suspended.operation)
    await resumeTenant(saasctl, 'acme', wait)
  })

  /** Until one of our own was heard: notices come in the order of their commits. */
  const allHeard = async (heard: string[]) => {
    const mark = uuidv7()
    await plane.catalogAsSuperuser(client => client.query(`select pg_notify('saasctl_route', $1)`, [mark]))
    await eventually(
      async () => heard,
      notices => notices.includes(mark)
    )
  }

  t.test('a router hears of every change that it must see, and of no other', async t => {
    const heard: string[] = []
    const listening = await catalog.listen('saasctl_route', {
      onNotice: payload => heard.push(payload),
      onLost: () => t.fail('the listener was lost'),
      answerTimeoutMs: 10_000
    })
    t.teardown(() => listening.release())
    const { tenant } = await create('initech', { plan: 'large' })
    const { id, databaseId } = tenant
    const change = (sql: string) => plane.catalogAsSuperuser(client => client.query(sql, [databaseId]))
    /** Each change, and how many times it counts the revision up. */
    const changes: Array<[what: string, count: number, act: () => Promise<unknown>]> = [
      ['labels', 0, () => updateTenant(saasctl, 'initech', { labels: { a: 'b' }, displayName: 'Initech' }, wait)],
      ['the same plan', 0, () => updateTenant(saasctl, 'initech', { plan: 'large' }, wait)],
      ['another plan', 1, () => updateTenant(saasctl, 'initech', { plan: 'small' }, wait)],
      ['rename', 1, () => renameTenant(saasctl, 'initech', 'initrode')],
      ['rename to the same', 0, () => renameTenant(saasctl, 'initrode', 'initrode')],
      ['suspend', 1, () => suspendTenant(saasctl, 'initrode', wait)],
      ['suspend again', 0, () => suspendTenant(saasctl, 'initrode', wait)],
      ['resume', 1, () => resumeTenant(saasctl, 'initrode', wait)],
      ['resume again', 0, () => resumeTenant(saasctl, 'initrode', wait)],
      ['delete', 1, () => deleteTenant(saasctl, 'initrode', wait)],
      ['undelete', 1, () => undeleteTenant(saasctl, 'initrode', wait)],
      ['a change that is refused', 0, () => t.rejects(renameTenant(saasctl, 'initrode', 'acme'))],
      ['plans that did not change', 0, () => applyPlans(saasctl)],
      ['a capacity', 0, () => updateServer(saasctl, 'main', { capacity: 500 })],
      ['a migration', 1, () => change(`update saasctl.database set migration = '9_last' where id = $1`)],
      ['the same migration', 0, () => change(`update saasctl.database set migration = '9_last' where id = $1`)],
      ['a size', 0, () => change('update saasctl.database set bytes = 9 where id = $1')],
      ['the idle login', 0, () => change(`${newPassword} and role = 'app_b'`)],
      ['the login that is not for routers', 0, () => change(`${newPassword} and role = 'owner'`)],
      ['the login in use', 1, () => change(`${newPassword} and role = 'app_a'`)],
      ['the other login in use', 1, () => change(`update saasctl.database set active_app = 'app_b' where id = $1`)],
      ['the routing key', 1, () => change(`${newWrap} and purpose = 'routing'`)],
      ['the control key', 0, () => change(`${newWrap} and purpose = 'control'`)],
      [
        'void caches',
        1,
        () => change(`${voidCaches} (select tenant_id from saasctl.placement where database_id = $1)`)
      ],
      ['where the server lives', 1, () => updateServer(saasctl, 'main', { host: 'localhost' })],
      ['purge: closed, homeless, gone', 3, () => purgeTenant(saasctl, 'initrode', { ...wait, backup: false })]
    ]
    let { revision } = tenant
    for (const [what, count, act] of changes) {
      await allHeard(heard)
      heard.length = 0
      await act()
      await allHeard(heard)
      const notices = Array.from({ length: count }, (_, index) => `${id} ${revision + index + 1}`)
      revision += count
      t.strictSame(
        heard.filter(notice => notice.startsWith(id)),
        notices,
        what
      )
      const rows = await catalog.query('select revision::int from saasctl.tenant where id = $1', [id])
      t.strictSame(rows, [{ revision }], `${what}: revision`)
    }
  })

  t.test('a router hears of a tenant that appears, so that nobody goes on denying it', async t => {
    const heard: string[] = []
    const listening = await catalog.listen('saasctl_route', {
      onNotice: payload => heard.push(payload),
      onLost: () => t.fail('the listener was lost'),
      answerTimeoutMs: 10_000
    })
    t.teardown(() => listening.release())
    await buildTemplate(saasctl, 'tiny', { again: false, warm: 1 }, wait)
    for (const slug of ['umbrella', 'hooli']) {
      const { tenant } = await create(slug)
      await allHeard(heard)
      t.ok(
        heard.some(notice => notice.startsWith(tenant.id)),
        slug
      )
    }
  })

  t.test('a copy of the whole catalog holds no password, in no spelling', async t => {
    const passwords: string[] = []
    const rows = await databases.databasesOnServer(catalog, (await servers.listServers(catalog))[0]?.id ?? '')
    for (const { id } of rows.filter(({ state }) => state !== 'dropped')) {
      const logins = await Logins.of(catalog, saasctl.keys, id)
      for (const role of loginRoles) passwords.push((await logins.credentials(role)).password.reveal())
    }
    for (const server of await servers.listServers(catalog)) {
      passwords.push((await serverAccess(saasctl.keys, server)).control.password.reveal())
    }
    t.ok(passwords.length > 12 && passwords.every(password => password.length > 20), `${passwords.length} passwords`)
    t.equal(new Set(passwords).size, passwords.length, 'each is another')
    const copy = await plane.catalogAsSuperuser(async client => {
      const { rows: names } = await client.query<{ name: string }>(
        `select oid::regclass::text as name from pg_class where relkind in ('r', 'p') and relnamespace in
           (select oid from pg_namespace where nspname !~ '^(pg_|information_schema)')`
      )
      let text = ''
      for (const { name } of names) {
        for (const { row } of (await client.query<{ row: string }>(`select t::text as row from ${name} t`)).rows)
          text += `${row}\n`
      }
      return text
    })
    t.ok(copy.includes('globex') && copy.includes('tenant.create'), 'the copy is the catalog’s content')
    const holds = (text: string, password: string) =>
      [
        password,
        encodeURIComponent(password),
        Buffer.from(password).toString('hex'),
        Buffer.from(password).toString('base64').replaceAll('=', '')
      ].some(spelling => text.includes(spelling))
    const [first = ''] = passwords
    t.ok(holds(`x${Buffer.from(first).toString('hex')}x`, first), 'it would be found')
    for (const password of passwords) t.notOk(holds(copy, password))
  })

  t.test('a ciphertext copied to another row opens nothing', async t => {
    const ids = await Promise.all(
      ['acme', 'globex'].map(async slug => (await findTenant(catalog, slug))?.databaseId ?? '')
    )
    const [one = '', other = ''] = ids
    const original = await plane.catalogAsSuperuser(
      async client => (await client.query('select * from saasctl.login')).rows.length
    )
    t.ok(original > 7)
    const opens = async (t: Test, sql: string, role: (typeof loginRoles)[number]) => {
      await plane.catalogAsSuperuser(async client => {
        const kept = await client.query(
          `select sealed, (select wrapped from saasctl.data_key k where k.database_id = l.database_id and k.purpose = l.purpose) as wrapped, l.purpose
          from saasctl.login l where database_id = $1 and role = $2`,
          [one, role]
        )
        const [{ sealed, wrapped, purpose }] = kept.rows as [{ sealed: Buffer; wrapped: Buffer; purpose: string }]
        await client.query(sql.replaceAll(':one', `'${one}'`).replaceAll(':other', `'${other}'`))
        const logins = await Logins.of(catalog, saasctl.keys, one)
        await t.rejects(logins.credentials(role), { code: 'KEY_WRONG' }, sql)
        await client.query('update saasctl.login set sealed = $3 where database_id = $1 and role = $2', [
          one,
          role,
          sealed
        ])
        await client.query('update saasctl.data_key set wrapped = $3 where database_id = $1 and purpose = $2', [
          one,
          purpose,
          wrapped
        ])
        t.ok((await (await Logins.of(catalog, saasctl.keys, one)).credentials(role)).password, 'put back, it opens')
      })
    }
    const from = (where: string) =>
      `update saasctl.login a set sealed = b.sealed from saasctl.login b where a.database_id = :one and a.role = 'app_a' and ${where}`
    await opens(t, from(`b.database_id = :other and b.role = 'app_a'`), 'app_a')
    await opens(t, from(`b.database_id = :one and b.role = 'app_b'`), 'app_a')
    await opens(t, from(`b.database_id = :one and b.role = 'owner'`), 'app_a')
    await opens(
      t,
      `update saasctl.data_key a set wrapped = b.wrapped from saasctl.data_key b where a.database_id = :one and a.purpose = 'routing' and b.database_id = :other and b.purpose = 'routing'`,
      'app_a'
    )
    await opens(
      t,
      `update saasctl.data_key a set wrapped = b.wrapped from saasctl.data_key b where a.database_id = :one and a.purpose = 'control' and b.database_id = :one and b.purpose = 'routing'`,
      'owner'
    )
  })
}
