-- Up Migration

-- The same event as before in one statement instead of four: the chain's head is locked, and event, payload and head are
-- written with it. A salt is one UUID instead of two (122 random bits), the answer a row instead of a set of rows. Names are
-- qualified besides the search_path, so that neither is all that keeps a caller's own operators out.
grant create on schema saasctl to saasctl_audit;
set local role saasctl_audit;
drop function saasctl.audit_append(text, text, text, text, text, text);
create function saasctl.audit_append(chain text, actor text, proof text, action text, subject text, payload text,
  out seq bigint, out hash text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  if proof operator(pg_catalog.<>) 'proven' and proof operator(pg_catalog.<>) 'asserted' then
    raise exception 'proof is "proven" or "asserted"' using errcode = '22023';
  end if;
  loop
    with head as (
      select c.seq operator(pg_catalog.+) 1 as seq, c.hash as prev, pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) as salt,
        greatest(pg_catalog.date_trunc('milliseconds', pg_catalog.clock_timestamp()), c.at) as at
      from saasctl.audit_chain c where c.chain operator(pg_catalog.=) $1 for update
    ), event as materialized (
      select h.seq, h.at, h.salt, pg_catalog.concat(
        '{"action":', pg_catalog.to_json($4),
        ',"actor":{"login":', pg_catalog.to_json(session_user::pg_catalog.text), ',"name":', pg_catalog.to_json($2),
        ',"proof":"', $3, '"},"at":"', pg_catalog.to_char(pg_catalog.timezone('UTC', h.at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        '","chain":', pg_catalog.to_json($1),
        ',"payload":"', pg_catalog.encode(pg_catalog.sha256(pg_catalog.byteacat(h.salt, pg_catalog.convert_to($6, 'UTF8'))), 'hex'),
        '","prev":"', h.prev, '","seq":', h.seq, ',"subject":', pg_catalog.to_json($5), ',"v":1}') as body
      from head h
    ), hashed as materialized (
      select e.seq, e.at, e.salt, e.body, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(e.body, 'UTF8')), 'hex') as hash
      from event e
    ), told as (
      insert into saasctl.audit_event (chain, seq, at, action, body, hash) select $1, h.seq, h.at, $4, h.body, h.hash from hashed h
    ), kept as (
      insert into saasctl.audit_payload (chain, seq, salt, payload) select $1, h.seq, h.salt, $6 from hashed h
    )
    update saasctl.audit_chain c set seq = h.seq, hash = h.hash, at = h.at from hashed h where c.chain operator(pg_catalog.=) $1
      returning c.seq, c.hash into seq, hash;
    exit when found;
    insert into saasctl.audit_chain values ($1, 0, pg_catalog.repeat('0', 64), '-infinity') on conflict do nothing;
  end loop;
end
$function$;
revoke all on function saasctl.audit_append(text, text, text, text, text, text) from public;
grant execute on function saasctl.audit_append(text, text, text, text, text, text) to saasctl_control;
reset role;
revoke create on schema saasctl from saasctl_audit;

-- An auditor's request is proven where a token proves it, as a change by the control login is: the catalog looks by itself.
drop function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text);
create function saasctl.export_request(export uuid, operation uuid, tenant text, formats text[], container text, masked boolean,
    certificate text, actor text, reason text, token bytea)
  returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  asked record;
  operator record;
  said jsonb := jsonb_build_object('name', actor, 'proof', 'asserted');
begin
  if reason = '' or length(reason) > 1000 then
    return 'reason';
  end if;
  if cardinality(formats) = 0 or not formats <@ array['jsonl', 'csv'] then
    return 'formats';
  end if;
  if token is not null then
    select a.id, a.name into operator from saasctl.operator_asks(token) a where a.id is not null and not a.expired;
    if not found then
      return 'token';
    end if;
    said := jsonb_build_object('name', operator.name, 'proof', 'proven', 'operatorId', operator.id);
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
  perform saasctl.audit_append('tenant:' || asked.id, said->>'name', said->>'proof', 'export.ask', 'tenant:' || asked.id,
    jsonb_build_object('export', export, 'masked', masked, 'reason', reason)::text);
  return 'asked';
end
$function$;
revoke all on function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text, bytea) from public;
grant execute on function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text, bytea)
  to saasctl_auditor;

update saasctl.instance set schema_version = 19;

-- Down Migration

drop function saasctl.export_request(uuid, uuid, text, text[], text, boolean, text, text, text, bytea);
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
grant create on schema saasctl to saasctl_audit;
set local role saasctl_audit;
drop function saasctl.audit_append(text, text, text, text, text, text);
create function saasctl.audit_append(chain text, actor text, proof text, action text, subject text, payload text)
  returns table (seq bigint, hash text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  salt bytea := decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
  head saasctl.audit_chain%rowtype;
  written timestamptz;
  body text;
begin
  if proof not in ('proven', 'asserted') then
    raise exception 'proof is "proven" or "asserted"' using errcode = '22023';
  end if;
  insert into saasctl.audit_chain values (audit_append.chain, 0, repeat('0', 64), '-infinity') on conflict do nothing;
  select * into strict head from saasctl.audit_chain c where c.chain = audit_append.chain for update;
  seq := head.seq + 1;
  written := greatest(date_trunc('milliseconds', clock_timestamp()), head.at);
  body := '{"action":' || to_json(action)
    || ',"actor":{"login":' || to_json(session_user::text) || ',"name":' || to_json(actor) || ',"proof":' || to_json(proof)
    || '},"at":"' || to_char(written at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    || '","chain":' || to_json(chain)
    || ',"payload":"' || encode(sha256(salt || convert_to(payload, 'UTF8')), 'hex')
    || '","prev":"' || head.hash
    || '","seq":' || seq
    || ',"subject":' || to_json(subject)
    || ',"v":1}';
  hash := encode(sha256(convert_to(body, 'UTF8')), 'hex');
  insert into saasctl.audit_event values (audit_append.chain, audit_append.seq, written, audit_append.action, body, audit_append.hash);
  insert into saasctl.audit_payload values (audit_append.chain, audit_append.seq, salt, audit_append.payload);
  update saasctl.audit_chain c set seq = audit_append.seq, hash = audit_append.hash, at = written where c.chain = audit_append.chain;
  return next;
end
$function$;
revoke all on function saasctl.audit_append(text, text, text, text, text, text) from public;
grant execute on function saasctl.audit_append(text, text, text, text, text, text) to saasctl_control;
reset role;
revoke create on schema saasctl from saasctl_audit;
update saasctl.instance set schema_version = 17;
