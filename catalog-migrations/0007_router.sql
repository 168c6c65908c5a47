-- Up Migration

-- Custom domains. One that is not proven yet (verified_at null) never routes.
create table saasctl.hostname (
  hostname text primary key collate "C",
  tenant_id uuid not null references saasctl.tenant (id),
  -- What the owner of the domain puts into a TXT record to prove that it is theirs.
  proof text not null,
  verified_at timestamptz,
  created_at timestamptz not null default now()
);
create index hostname_tenant on saasctl.hostname (tenant_id);
grant select, insert, update, delete on saasctl.hostname to saasctl_control;

create function saasctl.hostname_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant set revision = revision + 1 where id = coalesce(new.tenant_id, old.tenant_id);
  return null;
end
$function$;
create trigger hostname_changed after update or delete on saasctl.hostname
  for each row execute function saasctl.hostname_changed();

-- A new tenant wakes those who asked for it a moment ago and were told that there is none.
create function saasctl.placement_made() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  perform pg_notify('saasctl_route', new.tenant_id || ' 0');
  return null;
end
$function$;
create trigger placement_made after insert on saasctl.placement
  for each row execute function saasctl.placement_made();

-- A plan's limits hold for many tenants: one notice with the plan's name instead of one for each of them.
create function saasctl.plan_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  perform pg_notify('saasctl_route', 'plan ' || new.name || ' ' || new.revision);
  return null;
end
$function$;
create trigger plan_changed after update on saasctl.plan
  for each row execute function saasctl.plan_changed();

-- Where a server lives is part of a route too.
create function saasctl.server_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  if (new.host, new.port, new.tls) is distinct from (old.host, old.port, old.tls) then
    update saasctl.tenant t set revision = revision + 1 from saasctl.placement m join saasctl.database d on d.id = m.database_id
    where m.tenant_id = t.id and d.server_id = new.id;
  end if;
  return null;
end
$function$;
create trigger server_changed after update on saasctl.server
  for each row execute function saasctl.server_changed();

-- Connections that all routers together may hold on a server.
alter table saasctl.server add column router_connections integer not null default 80 check (router_connections >= 2);

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
create view saasctl.route_hostname with (security_barrier) as
  select hostname, tenant_id from saasctl.hostname where verified_at is not null;
grant select on saasctl.route, saasctl.route_hostname to saasctl_router, saasctl_control;

-- Routers say that they live, and which schema versions their program works with.
create table saasctl.router_instance (
  id uuid primary key,
  service text not null,
  host text not null,
  pid integer not null,
  oldest_migration text,
  newest_migration text,
  started_at timestamptz not null default clock_timestamp(),
  lease_until timestamptz not null
);
-- What a router may hold on a server now. The sum over a server never passes its router_connections.
create table saasctl.router_share (
  server_id uuid not null references saasctl.server (id),
  instance_id uuid not null references saasctl.router_instance (id) on delete cascade,
  connections integer not null check (connections >= 0),
  primary key (server_id, instance_id)
);
grant select, delete on saasctl.router_instance, saasctl.router_share to saasctl_control;

create function saasctl.router_heartbeat(id uuid, service text, host text, pid integer, oldest text, newest text, lease_seconds float8)
  returns void language sql security definer set search_path = pg_catalog, pg_temp
as $function$
  insert into saasctl.router_instance as i (id, service, host, pid, oldest_migration, newest_migration, lease_until)
  values (router_heartbeat.id, left(router_heartbeat.service, 100), left(router_heartbeat.host, 255), router_heartbeat.pid,
    oldest, newest, clock_timestamp() + make_interval(secs => least(lease_seconds, 60)))
  on conflict on constraint router_instance_pkey do update set lease_until = excluded.lease_until
$function$;

/*
 * Gives the instance its share of a server's connections, in return for what it says it still holds. Everybody's aim is the
 * budget divided by the routers that live. One that has more gives back first; one that has less takes what is free by then.
 * The share of a router that was not heard of is free again a minute after its lease: by then the server's own keepalive has
 * ended what sessions it left.
 */
create function saasctl.router_share(instance uuid, server uuid, holds integer)
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

create function saasctl.router_leave(instance uuid) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
as $function$
  delete from saasctl.router_instance i where i.id = instance
$function$;

-- What a router saw at its door, on the chain "router"; the router itself caps how often it calls.
create function saasctl.router_event(instance uuid, action text, subject text, payload text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
begin
  if action !~ '^router\.[a-z.]{1,60}$' or length(subject) > 300 or length(payload) > 4000 then
    raise exception 'not an event of a router' using errcode = '22023';
  end if;
  perform saasctl.audit_append('router', 'router ' || instance, 'asserted', action, subject, payload);
end
$function$;

revoke all on function saasctl.router_heartbeat(uuid, text, text, integer, text, text, float8), saasctl.router_share(uuid, uuid, integer),
  saasctl.router_leave(uuid), saasctl.router_event(uuid, text, text, text) from public;
grant execute on function saasctl.router_heartbeat(uuid, text, text, integer, text, text, float8), saasctl.router_share(uuid, uuid, integer),
  saasctl.router_leave(uuid), saasctl.router_event(uuid, text, text, text) to saasctl_router, saasctl_control;

update saasctl.instance set schema_version = 7;

-- Down Migration

drop function saasctl.router_event(uuid, text, text, text);
drop function saasctl.router_leave(uuid);
drop function saasctl.router_share(uuid, uuid, integer);
drop function saasctl.router_heartbeat(uuid, text, text, integer, text, text, float8);
drop table saasctl.router_share;
drop table saasctl.router_instance;
drop view saasctl.route_hostname;
drop view saasctl.route;
create view saasctl.route with (security_barrier) as
  select t.id as tenant_id, t.slug, t.status, t.revision, t.plan, p.revision as plan_revision, p.definition as plan_definition,
    s.engine, s.host, s.port, s.tls, d.id as database_id, d.name as database, d.migration, d.active_app,
    l.name as login, l.version as login_version, l.sealed, k.wrapped, k.version as key_version, k.master_key_id
  from saasctl.tenant t
  join saasctl.plan p on p.name = t.plan
  join saasctl.placement m on m.tenant_id = t.id
  join saasctl.database d on d.id = m.database_id
  join saasctl.server s on s.id = d.server_id
  join saasctl.login l on l.database_id = d.id and l.role = d.active_app
  join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
  where t.status not in ('creating', 'purged', 'failed');
grant select on saasctl.route to saasctl_router, saasctl_control;
alter table saasctl.server drop column router_connections;
drop trigger server_changed on saasctl.server;
drop function saasctl.server_changed();
drop trigger plan_changed on saasctl.plan;
drop function saasctl.plan_changed();
drop trigger placement_made on saasctl.placement;
drop function saasctl.placement_made();
drop trigger hostname_changed on saasctl.hostname;
drop function saasctl.hostname_changed();
drop table saasctl.hostname;
update saasctl.instance set schema_version = 6;
