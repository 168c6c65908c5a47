-- Up Migration

-- Counted up when everything that the application keeps of the tenant in caches of its own is void.
alter table saasctl.tenant add column cache_version bigint not null default 1;

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

-- A tenant's schema, and which of its two app logins is in use, are part of its route.
create function saasctl.database_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant t set revision = revision + 1 from saasctl.placement m
    where m.database_id = new.id and t.id = m.tenant_id;
  return null;
end
$function$;
create trigger database_changed after update on saasctl.database for each row
  when ((new.name, new.server_id, new.migration, new.active_app) is distinct from (old.name, old.server_id, old.migration, old.active_app))
  execute function saasctl.database_changed();

-- So is how that login gets in. The idle one may change unseen: its password is sealed before anybody goes in with it.
create function saasctl.login_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant t set revision = revision + 1 from saasctl.placement m join saasctl.database d on d.id = m.database_id
    where m.database_id = new.database_id and d.active_app = new.role and t.id = m.tenant_id;
  return null;
end
$function$;
create trigger login_changed after update on saasctl.login for each row
  when ((new.name, new.version, new.key_version, new.sealed) is distinct from (old.name, old.version, old.key_version, old.sealed))
  execute function saasctl.login_changed();

-- Wrapped anew: the old master key may be gone tomorrow, and with it what routers remember.
create function saasctl.data_key_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant t set revision = revision + 1 from saasctl.placement m
    where m.database_id = new.database_id and t.id = m.tenant_id;
  return null;
end
$function$;
create trigger data_key_changed after update on saasctl.data_key for each row
  when (new.purpose = 'routing' and new.wrapped is distinct from old.wrapped)
  execute function saasctl.data_key_changed();

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

/*
 * As before, but for two things. A part stays free: otherwise the first router on a server holds all of it, and the next one's
 * first requests wait for two beats, until it has given back. And one that has more than its part is told its part while the books
 * say what it holds: told what it holds, a busy one would never give back. `holds` is the most that it may have opened by now.
 */
create or replace function saasctl.router_share(instance uuid, server uuid, holds integer)
  returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  budget integer;
  routers integer;
  others integer;
  mine integer;
  aim integer;
  reserve integer;
  free integer;
  booked integer;
begin
  select router_connections into budget from saasctl.server s where s.id = router_share.server for update;
  if budget is null then
    return 0;
  end if;
  delete from saasctl.router_instance i where i.lease_until < clock_timestamp() - interval '60 s';
  if not exists (select from saasctl.router_instance i where i.id = instance) then
    return 0;
  end if;
  select coalesce(sum(r.connections), 0) into others from saasctl.router_share r
    where r.server_id = router_share.server and r.instance_id <> instance;
  select count(*) into routers from (
    select r.instance_id from saasctl.router_share r where r.server_id = router_share.server union select instance) live;
  select coalesce(max(r.connections), 0) into mine from saasctl.router_share r
    where r.server_id = router_share.server and r.instance_id = instance;
  reserve := budget / 20;
  aim := greatest((budget - reserve) / routers, 1);
  free := budget - others - mine;
  if mine > aim then
    -- What it still holds is still its own.
    booked := greatest(aim, least(holds, mine));
    mine := aim;
  elsif mine > 0 then
    mine := greatest(least(aim, mine + free - reserve), mine);
  else
    mine := greatest(least(aim, greatest(free - reserve, (free + 1) / 2)), 0);
  end if;
  insert into saasctl.router_share values (router_share.server, instance, coalesce(booked, mine))
    on conflict on constraint router_share_pkey do update set connections = excluded.connections;
  return mine;
end
$function$;

/*
 * The server let this router have no connection more of the tenant's: others hold what the plan allows, idle ones perhaps. Tells
 * all of them how many they are, so that each keeps its part for a while.
 */
create function saasctl.router_crowded(instance uuid, server uuid, tenant uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  routers integer;
begin
  select count(*) into routers from saasctl.router_share r join saasctl.router_instance i on i.id = r.instance_id
    where r.server_id = router_crowded.server and i.lease_until > clock_timestamp();
  if routers > 1 and exists (select from saasctl.router_instance i where i.id = instance) then
    perform pg_notify('saasctl_route', 'crowd ' || tenant || ' ' || routers);
  end if;
end
$function$;
revoke all on function saasctl.router_crowded(uuid, uuid, uuid) from public;
grant execute on function saasctl.router_crowded(uuid, uuid, uuid) to saasctl_router, saasctl_control;

update saasctl.instance set schema_version = 8;

-- Down Migration

drop function saasctl.router_crowded(uuid, uuid, uuid);
drop view saasctl.route;
create view saasctl.route with (security_barrier) as
  select t.id as tenant_id, t.slug, t.status, t.revision, t.plan, p.revision as plan_revision, p.definition as plan_definition,
    s.id as server_id, s.engine, s.host, s.port, s.tls, s.router_connections, d.id as database_id, d.name as database, d.migration,
    l.name as login, l.version as login_version, l.sealed, k.wrapped, k.version as key_version, k.master_key_id
  from saasctl.tenant t
  join saasctl.plan p on p.name = t.plan
  join saasctl.placement m on m.tenant_id = t.id
  join saasctl.database d on d.id = m.database_id
  join saasctl.server s on s.id = d.server_id
  join saasctl.login l on l.database_id = d.id and l.role = d.active_app
  join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
  where t.status in ('active', 'suspended', 'deleted', 'purging');
grant select on saasctl.route to saasctl_router, saasctl_control;
drop trigger data_key_changed on saasctl.data_key;
drop function saasctl.data_key_changed();
drop trigger login_changed on saasctl.login;
drop function saasctl.login_changed();
drop trigger database_changed on saasctl.database;
drop function saasctl.database_changed();
create or replace function saasctl.tenant_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  if (new.slug, new.status, new.plan, new.template) is distinct from (old.slug, old.status, old.plan, old.template)
    and new.revision = old.revision then
    new.revision := old.revision + 1;
  end if;
  if new.revision <> old.revision then
    perform pg_notify('saasctl_route', new.id || ' ' || new.revision);
  end if;
  return new;
end
$function$;
alter table saasctl.tenant drop column cache_version;
create or replace function saasctl.router_share(instance uuid, server uuid, holds integer)
  returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  budget integer;
  routers integer;
  others integer;
  mine integer;
  aim integer;
begin
  select router_connections into budget from saasctl.server s where s.id = router_share.server for update;
  if budget is null then
    return 0;
  end if;
  delete from saasctl.router_instance i where i.lease_until < clock_timestamp() - interval '60 s';
  if not exists (select from saasctl.router_instance i where i.id = instance) then
    return 0;
  end if;
  select coalesce(sum(r.connections), 0) into others from saasctl.router_share r
    where r.server_id = router_share.server and r.instance_id <> instance;
  select count(*) into routers from (
    select r.instance_id from saasctl.router_share r where r.server_id = router_share.server union select instance) live;
  select coalesce(max(r.connections), 0) into mine from saasctl.router_share r
    where r.server_id = router_share.server and r.instance_id = instance;
  aim := greatest(budget / routers, 1);
  if mine > aim then
    -- What it still holds is still its own.
    mine := greatest(aim, least(holds, mine));
  else
    mine := greatest(least(aim, budget - others), 0);
  end if;
  insert into saasctl.router_share values (router_share.server, instance, mine)
    on conflict on constraint router_share_pkey do update set connections = excluded.connections;
  return mine;
end
$function$;
update saasctl.instance set schema_version = 7;
