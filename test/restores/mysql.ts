import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { backupTenant } from '../../src/backups/backup.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { gather } from '../../src/databases/work.js'
import { COLLATION, SETTINGS } from '../../src/engines/mysql/connect.js'
import { createExport } from '../../src/exports/create.js'
import { importExport } from '../../src/exports/import.js'
import { cloneTenant, restoreAs } from '../../src/restores/clone.js'
import { restoreTenant } from '../../src/restores/restore.js'
import { undoRestore } from '../../src/restores/undo.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { createTenant } from '../../src/tenants/create.js'
import { loadTenant } from '../../src/tenants/load.js'
import { mysqlKillStage } from '../support/kill-and-recover.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { contentsOf, readSakila } from '../support/mysql-sakila.js'
import { sakilaFolder } from '../support/sakila-folder.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const stage = await mysqlKillStage()
  t.teardown(() => stage.close())
  const { saasctl, mysql } = stage
  const wait = { wait: true }
  await createTenant(saasctl, { slug: 'acme' }, { template: 'tiny' }, wait)
  const databaseOf = async (slug: string) => {
    const { databaseId } = (await findTenant(saasctl.catalog, slug)) ?? {}
    return (await gather(saasctl, databaseId ?? '')).names.database
  }
  const query = async (slug: string, sql: string) => (await mysql?.root(sql, await databaseOf(slug))) ?? []
  const bodies = async (slug: string) =>
    (await query(slug, 'select body from notes order by id')).map(({ body }) => body)

  await t.test('a tenant on MariaDB or MySQL is restored, undone and cloned as on PostgreSQL', async t => {
    await backupTenant(saasctl, 'acme', wait)
    await query('acme', `insert into notes values (2, 'later')`)
    await restoreTenant(saasctl, 'acme', {}, wait)
    t.strictSame(await bodies('acme'), ['seed'])
    await undoRestore(saasctl, 'acme', { discardWrites: false }, wait)
    t.strictSame(await bodies('acme'), ['seed', 'later'])
    await restoreTenant(saasctl, 'acme', {}, wait)
    await query('acme', `update notes set body = 'changed'`)
    await t.rejects(undoRestore(saasctl, 'acme', { discardWrites: false }, wait), { code: 'TENANT_STATE' })
    const { tenant } = await cloneTenant(saasctl, 'acme', { as: 'acme-copy' }, wait)
    t.match(tenant, { status: 'active', migration: '0002_grown' })
    t.strictSame(await bodies('acme-copy'), ['changed'])
    await t.rejects(cloneTenant(saasctl, 'acme', { as: 'acme-held', hold: true }, wait), {
      code: 'SERVER_UNSUPPORTED',
      hint: /--hold/
    })
  })

  const folderOfSakila = sakilaFolder(t)
  await t.test(
    'Sakila is the same in every row and object, whichever way it went',
    { skip: folderOfSakila === undefined && 'no Sakila here' },
    async t => {
      if (!mysql || folderOfSakila === undefined) return
      const sakila = await readSakila(folderOfSakila)
      await mysql.root(`CREATE DATABASE sakila CHARACTER SET utf8mb4 COLLATE ${COLLATION}`)
      await mysql.root([SETTINGS, ...sakila.schema, ...sakila.rows].join(';\n'), 'sakila')
      const truth = await contentsOf(mysql, 'sakila')
      t.match(truth, { 'rows of rental': [16_044], 'rows of address': [603] })
      const own = ['notes', 'tags'].flatMap(name => [`TABLE ${name}`, `rows of ${name}`])
      const same = async (slug: string) => {
        const found = Object.entries(await contentsOf(mysql, await databaseOf(slug)))
        t.strictSame(Object.fromEntries(found.filter(([name]) => !own.includes(name))), truth, slug)
      }
      const late = sakila.rows.filter(sql => sql.startsWith('CREATE TRIGGER'))
      const up = [...sakila.schema, `SET SQL_MODE = 'TRADITIONAL'`, ...late]
      await stage.template.grow({ up: up.map(sql => `-- statement\n${sql};\n-- statement`).join('\n'), down: '' })
      await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, wait)
      const folder = dirname(stage.template.migrations)

      // Its definers are of a server that the tenant knows nothing of.
      await mysql.root(`CREATE USER dumper@'%' IDENTIFIED BY 'dumper'; GRANT ALL ON *.* TO dumper@'%'`)
      await mysql.root(
        `CREATE TABLE notes (id int primary key, body text not null); CREATE TABLE tags (id int primary key, name text)`,
        'sakila'
      )
      const way = [
        '--no-defaults',
        `--host=${mysql.host}`,
        `--port=${mysql.port}`,
        '--user=dumper',
        '--password=dumper'
      ]
      const options = { encoding: 'utf8', maxBuffer: 1e9 } as const
      const dump = join(folder, 'films.sql')
      await writeFile(dump, execFileSync('mysqldump', [...way, '--routines', '--hex-blob', 'sakila'], options))
      await loadTenant(saasctl, { file: dump, slug: 'films', template: 'tiny' }, { template: 'tiny' }, wait)
      await same('films')

      await backupTenant(saasctl, 'films', wait)
      await query('films', 'delete from film_text; drop view film_list; drop trigger ins_film')
      await restoreTenant(saasctl, 'films', {}, wait)
      await same('films')
      await restoreAs(saasctl, 'films', { as: 'films-2' }, wait)
      await same('films-2')
      await cloneTenant(saasctl, 'films-2', { as: 'films-3' }, wait)
      await same('films-3')

      const file = join(folder, 'films.tar.gz')
      const wish = { formats: ['jsonl' as const], container: 'tar.gz' as const, masked: false, certificate: null }
      await createExport(saasctl, 'films', { ...wish, target: pathToFileURL(file).href, reason: 'a test' }, wait)
      await importExport(saasctl, { file, slug: 'films-4' }, (wish, filling) =>
        createTenant(saasctl, wish, wish, wait, filling)
      )
      await same('films-4')
    }
  )
}
