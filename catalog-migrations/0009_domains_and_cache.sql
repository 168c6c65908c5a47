-- Up Migration

-- Anybody may say that a domain is theirs; who proves it first has it. So a claim of one tenant keeps no other from its own.
alter table saasctl.hostname drop constraint hostname_pkey, add primary key (hostname, tenant_id);
create unique index hostname_proven on saasctl.hostname (hostname) where verified_at is not null;

-- Voids what an application has cached of a tenant, in every process that has it. A router may do that much by itself.
create function saasctl.router_invalidate(instance uuid, invalidated uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
begin
  update saasctl.tenant set cache_version = cache_version + 1 where id = invalidated;
  if found then
    perform saasctl.audit_append('tenant:' || invalidated, 'router ' || instance, 'asserted', 'tenant.invalidate', 'tenant:' || invalidated, '{}');
  end if;
end
$function$;
revoke all on function saasctl.router_invalidate(uuid, uuid) from public;
grant execute on function saasctl.router_invalidate(uuid, uuid) to saasctl_router, saasctl_control;

update saasctl.instance set schema_version = 9;

-- Down Migration

drop function saasctl.router_invalidate(uuid, uuid);
delete from saasctl.hostname where verified_at is null;
drop index saasctl.hostname_proven;
alter table saasctl.hostname drop constraint hostname_pkey, add primary key (hostname);
update saasctl.instance set schema_version = 8;
