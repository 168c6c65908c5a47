-- Up Migration

-- restored_at: it was put back from a backup and nobody has declared it the present one yet. No worker works on it.
alter table saasctl.instance add column catalog_backed_up_at timestamptz, add column restored_at timestamptz;

-- Databases on whose server it is not written down yet whose they are, or no longer as it is. Whoever writes it takes the
-- row away, unless it counted up meanwhile.
create table saasctl.unbound (
  database_id uuid primary key references saasctl.database (id),
  changes bigint not null default 1
);
grant select, insert, update, delete on saasctl.unbound to saasctl_control;

create function saasctl.placement_unbound() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  insert into saasctl.unbound (database_id) values (new.database_id)
    on conflict (database_id) do update set changes = saasctl.unbound.changes + 1;
  return null;
end
$function$;
create trigger placement_unbound after insert or update on saasctl.placement
  for each row execute function saasctl.placement_unbound();

create function saasctl.tenant_unbound() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  insert into saasctl.unbound (database_id) select p.database_id from saasctl.placement p where p.tenant_id = new.id
    on conflict (database_id) do update set changes = saasctl.unbound.changes + 1;
  return null;
end
$function$;
create trigger tenant_unbound after update on saasctl.tenant for each row
  when ((new.slug, new.display_name, new.status, new.plan, new.template, new.labels, new.region)
    is distinct from (old.slug, old.display_name, old.status, old.plan, old.template, old.labels, old.region))
  execute function saasctl.tenant_unbound();

insert into saasctl.unbound (database_id) select database_id from saasctl.placement;

update saasctl.instance set schema_version = 18;

-- Down Migration

drop trigger tenant_unbound on saasctl.tenant;
drop function saasctl.tenant_unbound();
drop trigger placement_unbound on saasctl.placement;
drop function saasctl.placement_unbound();
drop table saasctl.unbound;
alter table saasctl.instance drop column restored_at, drop column catalog_backed_up_at;
update saasctl.instance set schema_version = 17;
