-- Up Migration

-- Every change that a router must see counts the tenant's revision up and says so. NOTIFY is a hint to reload, never data.
create function saasctl.tenant_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
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
create trigger tenant_changed before update on saasctl.tenant
  for each row execute function saasctl.tenant_changed();

create function saasctl.placement_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant set revision = revision + 1 where id = coalesce(new.tenant_id, old.tenant_id);
  return null;
end
$function$;
create trigger placement_changed after update or delete on saasctl.placement
  for each row execute function saasctl.placement_changed();

-- The routers' one window: app logins only, nothing of owner or read-only logins.
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
update saasctl.instance set schema_version = 6;

-- Down Migration

drop view saasctl.route;
drop trigger placement_changed on saasctl.placement;
drop function saasctl.placement_changed();
drop trigger tenant_changed on saasctl.tenant;
drop function saasctl.tenant_changed();
update saasctl.instance set schema_version = 5;
