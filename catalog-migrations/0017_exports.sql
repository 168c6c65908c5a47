-- Up Migration

-- One signed export of one tenant. Its row stays when the file is gone.
create table saasctl.export (
  id uuid primary key,
  tenant_id uuid not null references saasctl.tenant (id),
  operation_id uuid not null,
  -- expired: it was in our own store, and its time is over.
  status text not null default 'making' check (status in ('making', 'ready', 'failed', 'expired')),
  formats text[] not null,
  container text not null check (container in ('folder', 'tar.gz', 'zip')),
  -- Where it was to go: file:///PATH on the machine that makes it, or s3://BUCKET/NAME. Null is our own store, which expires.
  target text,
  -- The store that it is in, and its name there; set when it is whole. A file on a machine is in none.
  store text,
  object text,
  masked boolean not null,
  -- Whom it is encrypted to: a certificate, which is public.
  certificate text,
  actor jsonb not null,
  reason text not null,
  bytes bigint,
  -- Of the file as it was written, encrypted or not.
  sha512 text,
  position text,
  snapshot_at timestamptz,
  row_count bigint,
  key_id text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  expires_at timestamptz
);
create index export_tenant on saasctl.export (tenant_id, id desc);
create index export_expiring on saasctl.export (expires_at) where status = 'ready' and expires_at is not null;

grant select, insert, update on saasctl.export to saasctl_control;
grant select on saasctl.export to saasctl_auditor;

-- What an auditor may ask for: an export into our own store, made by a worker. The actor is asserted: the trail has the login.
-- Answers "asked", or why not.
create function saasctl.export_request(export uuid, operation uuid, tenant text, formats text[], container text, masked boolean,
    certificate text, actor text, reason text)
  returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  asked record;
  said jsonb := jsonb_build_object('name', actor, 'proof', 'asserted');
begin
  if reason = '' or length(reason) > 1000 then
    return 'reason';
  end if;
  select t.id, t.slug, p.database_id into asked from saasctl.tenant t
    join saasctl.placement p on p.tenant_id = t.id
    where (t.slug = export_request.tenant or t.id::text = export_request.tenant) and t.status in ('active', 'suspended')
    for update of t;
  if not found then
    return 'absent';
  end if;
  if exists (select from saasctl.operation o where o.tenant_id = asked.id and o.exclusion = 'exclusive'
      and o.status in ('queued', 'running', 'waiting', 'undoing')) then
    return 'busy';
  end if;
  insert into saasctl.export (id, tenant_id, operation_id, formats, container, masked, certificate, actor, reason)
    values (export, asked.id, operation, formats, container, masked, certificate, said, reason);
  insert into saasctl.operation (id, kind, subject, tenant_id, exclusion, input, input_version, actor, status)
    values (operation, 'export.create', 'tenant:' || asked.id, asked.id, 'shared', jsonb_build_object('tenantId', asked.id,
      'databaseId', asked.database_id, 'slug', asked.slug, 'exportId', export), 1, said, 'queued');
  insert into saasctl.operation_step (operation_id, position, name) values (operation, 1, 'write the bag');
  perform saasctl.audit_append('tenant:' || asked.id, actor, 'asserted', 'export.ask', 'tenant:' || asked.id,
    jsonb_build_object('export', export, 'masked', masked, 'reason', reason)::text);
  return 'asked';
end
$function$;
revoke all on function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text)
  from public;
grant execute on function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text)
  to saasctl_auditor;

update saasctl.instance set schema_version = 17;

-- Down Migration

drop function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text);
drop table saasctl.export;
update saasctl.instance set schema_version = 16;
