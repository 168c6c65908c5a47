import type pg from 'pg'

/** Of 2,500 databases each, which is what one can hold. */
export const serversFor = (tenants: number) => Math.ceil(tenants / 2500)
export const countries = 50

/**
 * Fills an empty catalog with tenants as a grown one has them: placed on servers, each with its database, four logins and
 * two data keys, rows of the usual size. Slugs are in no order of time. Triggers and foreign keys rest meanwhile, so the
 * session must be a superuser's.
 */
export async function fillCatalog(superuser: pg.Client, tenants: number): Promise<void> {
  const servers = serversFor(tenants)
  await superuser.query(`set session_replication_role = replica; set synchronous_commit = off; set work_mem = '256MB'`)
  await superuser.query(`
    insert into saasctl.server (id, name, engine, host, port, maintenance, control_login, control_password, databases)
      select ${id('5', 'n')}, 'server-' || n, 'postgres', '10.0.' || n / 256 || '.' || n % 256, 5432, 'postgres', 'saasctl_server',
        decode(repeat('ab', 80), 'hex'), ${Math.ceil(tenants / servers)}
      from generate_series(0, ${servers - 1}) n;
    insert into saasctl.template (id, name, version, checksum, definition)
      values (${id('6', '0')}, 'standard', 1, repeat('a', 64), '{}');
    insert into saasctl.plan (name, checksum, definition) select name, repeat('a', 64),
      '{"limits": {"connections": 10, "statementTimeoutMs": 30000, "idleInTransactionMs": 30000, "tempFileMb": null}}'
      from unnest(array['free', 'pro', 'enterprise']) name`)
  await superuser.query(
    `insert into saasctl.tenant (id, slug, display_name, status, plan, template, labels, region)
     select ${id('7', 'n')}, ${slug('n')}, 'Customer number ' || n,
       case when n % 100 < 94 then 'active' when n % 100 < 97 then 'suspended' else 'deleted' end,
       case when n % 100 < 80 then 'free' when n % 100 < 96 then 'pro' else 'enterprise' end, 'standard',
       jsonb_build_object('product', 'invoicing', 'country', 'c' || n % ${countries}), 'eu'
     from generate_series(0, ${tenants - 1}) n`
  )
  await superuser.query(
    `insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile, migration,
       migrations_checksum, fingerprint, bytes)
     select ${id('8', 'n')}, ${id('5', `(n % ${servers})`)}, 't' || left(md5('d' || n), 26), 'tenant', ${id('6', '0')}, 'placed',
       '{"connections": 10, "statementTimeoutMs": 30000, "idleInTransactionMs": 30000, "tempFileMb": null}', left(md5('p'), 16),
       '0013_products_price_cents_drop', repeat('b', 64), repeat('c', 64), 8000000 + n
     from generate_series(0, ${tenants - 1}) n`
  )
  await superuser.query(
    `insert into saasctl.placement (tenant_id, database_id)
     select ${id('7', 'n')}, ${id('8', 'n')} from generate_series(0, ${tenants - 1}) n`
  )
  await superuser.query(
    `insert into saasctl.data_key (database_id, purpose, version, wrapped, master_key_id)
     select ${id('8', 'n')}, purpose, 1, decode(repeat(md5(n || purpose), 4), 'hex'), left(md5(purpose), 16)
     from generate_series(0, ${tenants - 1}) n, unnest(array['routing', 'control']) purpose`
  )
  await superuser.query(
    `insert into saasctl.login (database_id, role, name, purpose, key_version, version, sealed)
     select ${id('8', 'n')}, role, 't' || left(md5('d' || n), 26) || role, case when role like 'app%' then 'routing' else 'control' end,
       1, 1, decode(repeat(md5(n || role), 5), 'hex')
     from generate_series(0, ${tenants - 1}) n, unnest(array['owner', 'app_a', 'app_b', 'readonly']) role`
  )
  await superuser.query('vacuum analyze')
  // What is written once must not be written again by those who ask.
  await superuser.query('checkpoint')
}

/** The id of the n-th thing of a kind: in the order of n, as UUIDv7 are in the order of time. */
function id(kind: string, n: string): string {
  return `('0190000${kind}-' || lpad(to_hex(${n} >> 16), 4, '0') || '-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`
}

function slug(n: string): string {
  return `'s' || left(md5('slug' || ${n}), 11)`
}
