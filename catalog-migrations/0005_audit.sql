-- Up Migration

-- One chain per tenant and one per other noun. An event's body is the canonical JSON (RFC 8785) that was hashed, as text.
-- Salt and payload sit apart, so that they can be erased while the chain still verifies.
create table saasctl.audit_chain (
  chain text primary key,
  seq bigint not null,
  hash text not null,
  at timestamptz not null
);

create table saasctl.audit_event (
  chain text not null,
  seq bigint not null,
  at timestamptz not null,
  action text not null,
  body text not null,
  hash text not null,
  primary key (chain, seq)
);
create index audit_event_at on saasctl.audit_event (at);

create table saasctl.audit_payload (
  chain text not null,
  seq bigint not null,
  salt bytea not null,
  payload text not null,
  primary key (chain, seq)
);

-- The only way to write any of it. The chain's head is locked here, so call it last in the transaction.
-- to_json(text) escapes exactly as RFC 8785 wants (\b \t \n \f \r \" \\ and lowercase \u00xx); the keys stand sorted.
-- `at` never goes back within a chain, whatever the clock does: a clock gone back shows as equal times.
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

-- A schema's tables can only be owned by a role that may use the schema; creating in it is not needed afterwards.
grant usage, create on schema saasctl to saasctl_audit;
alter table saasctl.audit_chain owner to saasctl_audit;
alter table saasctl.audit_event owner to saasctl_audit;
alter table saasctl.audit_payload owner to saasctl_audit;
alter function saasctl.audit_append(text, text, text, text, text, text) owner to saasctl_audit;
revoke create on schema saasctl from saasctl_audit;

set local role saasctl_audit;
grant execute on function saasctl.audit_append(text, text, text, text, text, text) to saasctl_control;
grant select on saasctl.audit_chain, saasctl.audit_event, saasctl.audit_payload to saasctl_control, saasctl_auditor;
reset role;

update saasctl.instance set schema_version = 5;

-- Down Migration

set local role saasctl_audit;
drop function saasctl.audit_append(text, text, text, text, text, text);
drop table saasctl.audit_payload, saasctl.audit_event, saasctl.audit_chain;
reset role;
update saasctl.instance set schema_version = 4;
