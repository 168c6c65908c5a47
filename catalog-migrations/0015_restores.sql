-- Up Migration

-- Something is being done to the tenant for which nobody may be inside for some moments: routers answer 503 meanwhile.
alter table saasctl.tenant add column held boolean not null default false;

create or replace function saasctl.tenant_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  if (new.slug, new.status, new.plan, new.template, new.cache_version, new.held)
    is distinct from (old.slug, old.status, old.plan, old.template, old.cache_version, old.held)
    and new.revision = old.revision then
    new.revision := old.revision + 1;
  end if;
  if new.revision <> old.revision then
    perform pg_notify('saasctl_route', new.id || ' ' || new.revision);
  end if;
  return new;
end
$function$;

create or replace view saasctl.route with (security_barrier) as
  select t.id as tenant_id, t.slug, case when t.held and t.status = 'active' then 'held' else t.status end as status, t.revision,
    t.plan, p.revision as plan_revision, p.definition as plan_definition,
    s.id as server_id, s.engine, s.host, s.port, s.tls, s.router_connections, d.id as database_id, d.name as database, d.migration,
    l.name as login, l.version as login_version, l.sealed, k.wrapped, k.version as key_version, k.master_key_id, t.cache_version,
    s.name as server
  from saasctl.tenant t
  join saasctl.plan p on p.name = t.plan
  join saasctl.placement m on m.tenant_id = t.id
  join saasctl.database d on d.id = m.database_id
  join saasctl.server s on s.id = d.server_id
  join saasctl.login l on l.database_id = d.id and l.role = d.active_app
  join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
  where t.status in ('active', 'suspended', 'deleted', 'purging');

-- Databases that tenants had before a restore: kept for their grace, so that the restore can be undone.
create table saasctl.replaced_database (
  database_id uuid primary key references saasctl.database (id),
  tenant_id uuid not null references saasctl.tenant (id),
  replaced_by uuid not null references saasctl.database (id),
  -- What the engine said of everything written to the new one until then: the same again means that nothing was since.
  writes text not null,
  replaced_at timestamptz not null default now(),
  drop_at timestamptz not null
);
create index replaced_database_tenant on saasctl.replaced_database (tenant_id);
create index replaced_database_drop on saasctl.replaced_database (drop_at);

grant select, insert, update, delete on saasctl.replaced_database to saasctl_control;
update saasctl.instance set schema_version = 15;

-- Down Migration

drop table saasctl.replaced_database;
create or replace view saasctl.route with (security_barrier) as
  select t.id as tenant_id, t.slug, t.status, t.revision, t.plan, p.revision as plan_revision, p.definition as plan_definition,
    s.id as server_id, s.engine, s.host, s.port, s.tls, s.router_connections, d.id as database_id, d.name as database, d.migration,
    l.name as login, l.version as login_version, l.sealed, k.wrapped, k.version as key_version, k.master_key_id, t.cache_version,
    s.name as server
  from saasctl.tenant t
  join saasctl.plan p on p.name = t.plan
  join saasctl.placement m on m.tenant_id = t.id
  join saasctl.database d on d.id = m.database_id
  join saasctl.server s on s.id = d.server_id
  join saasctl.login l on l.database_id = d.id and l.role = d.active_app
  join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
  where t.status in ('active', 'suspended', 'deleted', 'purging');
create or replace function saasctl.tenant_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  if (new.slug, new.status, new.plan, new.template, new.cache_version)
    is distinct from (old.slug, old.status, old.plan, old.template, old.cache_version)
    and new.revision = old.revision then
    new.revision := old.revision + 1;
  end if;
  if new.revision <> old.revision then
    perform pg_notify('saasctl_route', new.id || ' ' || new.revision);
  end if;
  return new;
end
$function$;
alter table saasctl.tenant drop column held;
update saasctl.instance set schema_version = 14;
