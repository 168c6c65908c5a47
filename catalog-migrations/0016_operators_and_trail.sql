-- Up Migration

-- A person or program that may use the control plane. Revoked ones stay: the trail names them.
create table saasctl.operator (
  id uuid primary key,
  name text not null,
  role text not null check (role in ('admin', 'operator', 'auditor', 'signup', 'support')),
  created_at timestamptz not null default clock_timestamp(),
  revoked_at timestamptz
);
-- Never used again: the trail would say one name for two people.
create unique index operator_name on saasctl.operator (name);

-- A token is 256 random bits, so that its SHA-256 is as good as a slow hash. It is looked up at every use: revoked is revoked.
create table saasctl.operator_token (
  hash bytea primary key,
  operator_id uuid not null references saasctl.operator (id),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index operator_token_operator on saasctl.operator_token (operator_id);

-- What takes two: asked for by one operator, decided by another. Approving does it, in the same transaction.
create table saasctl.approval (
  id uuid primary key,
  action text not null,
  tenant_id uuid not null references saasctl.tenant (id),
  input jsonb not null,
  reason text not null,
  status text not null default 'pending' check (status in ('pending', 'approved', 'rejected', 'expired')),
  requested_by uuid not null references saasctl.operator (id),
  requested_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  decided_by uuid references saasctl.operator (id),
  decided_at timestamptz,
  constraint approval_two check (decided_by <> requested_by),
  constraint approval_decided check ((status in ('approved', 'rejected')) = (decided_by is not null))
);
create unique index approval_pending on saasctl.approval (tenant_id, action) where status = 'pending';

-- A legal hold: while it is there nothing of the tenant is destroyed.
create table saasctl.hold (
  tenant_id uuid primary key references saasctl.tenant (id),
  reason text not null,
  since timestamptz not null default clock_timestamp(),
  approval_id uuid not null references saasctl.approval (id)
);

-- Whatever a program forgets to ask, a held tenant does not go.
create function saasctl.hold_kept() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $function$
begin
  if exists (select from saasctl.hold h where h.tenant_id = new.id) then
    raise exception 'a legal hold is on the tenant' using errcode = 'SHELD';
  end if;
  return new;
end
$function$;
create trigger hold_kept before update of status on saasctl.tenant
  for each row when (new.status in ('purging', 'purged') and old.status is distinct from new.status)
  execute function saasctl.hold_kept();

grant select, insert, update on saasctl.operator, saasctl.approval to saasctl_control;
grant select, insert, update, delete on saasctl.operator_token, saasctl.hold to saasctl_control;

-- Who a token belongs to, and what the login itself may be. One question for every command, also for an auditor's login.
create function saasctl.operator_asks(token bytea)
  returns table (control boolean, guarded boolean, id uuid, name text, role text, expired boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $function$
  select pg_has_role(session_user, 'saasctl_control', 'member'),
    exists (select from saasctl.operator a join saasctl.operator_token t on t.operator_id = a.id
      where a.role = 'admin' and a.revoked_at is null and t.expires_at > clock_timestamp()),
    o.id, o.name, o.role, t.expires_at <= clock_timestamp()
  from (select) one
  left join saasctl.operator_token t on t.hash = token
  left join saasctl.operator o on o.id = t.operator_id and o.revoked_at is null
$function$;
revoke all on function saasctl.operator_asks(bytea) from public;
grant execute on function saasctl.operator_asks(bytea) to saasctl_control, saasctl_auditor;

-- An auditor asks for a tenant by the name that people use.
grant select (id, slug, status) on saasctl.tenant to saasctl_auditor;

-- Bytes decide the order of chains, so that a reader outside of the database walks them in the same one.
alter table saasctl.audit_chain alter column chain type text collate "C";
alter table saasctl.audit_event alter column chain type text collate "C";
alter table saasctl.audit_payload alter column chain type text collate "C";

-- A checkpoint signs the heads of all chains at one moment, as the root of a Merkle tree over them. Only heads that moved
-- are written down: at checkpoint n a chain ends where its newest head of a number up to n says.
create table saasctl.audit_checkpoint (
  number bigint primary key,
  at timestamptz not null,
  body text not null,
  signature bytea not null,
  key_id text not null
);
create table saasctl.audit_checkpoint_head (
  chain text not null collate "C",
  seq bigint not null,
  hash text not null,
  number bigint not null,
  primary key (chain, seq)
);
create index audit_checkpoint_head_number on saasctl.audit_checkpoint_head (number);

-- Takes down which heads moved, in one snapshot. One checkpoint at a time; the rest of the transaction signs what it says.
create function saasctl.audit_checkpoint_open() returns table (number bigint, at timestamptz, prev text, moved bigint)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
begin
  perform pg_advisory_xact_lock(hashtextextended('saasctl audit checkpoint', 0));
  select coalesce(max(c.number), 0) + 1, greatest(date_trunc('milliseconds', clock_timestamp()), max(c.at))
    into number, at from saasctl.audit_checkpoint c;
  select encode(sha256(convert_to(c.body, 'UTF8')), 'hex') into prev from saasctl.audit_checkpoint c
    where c.number = audit_checkpoint_open.number - 1;
  insert into saasctl.audit_checkpoint_head (chain, seq, hash, number)
    select c.chain, c.seq, c.hash, audit_checkpoint_open.number from saasctl.audit_chain c
    where c.seq > 0 and not exists (select from saasctl.audit_checkpoint_head h where h.chain = c.chain and h.seq >= c.seq);
  get diagnostics moved = row_count;
  return next;
end
$function$;

create function saasctl.audit_checkpoint_sign(number bigint, at timestamptz, body text, signature bytea, key_id text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
as $function$
  insert into saasctl.audit_checkpoint (number, at, body, signature, key_id) values (number, at, body, signature, key_id)
$function$;

-- Erases what a chain's events said; that it was done, when and by whom is the chain's next event, and what proves it whole.
create function saasctl.audit_erase(chain text, actor text, proof text, subject text, payload text) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  event record;
  erased bigint;
begin
  select * into strict event from saasctl.audit_append(chain, actor, proof, 'audit.erase', subject, payload);
  delete from saasctl.audit_payload p where p.chain = audit_erase.chain and p.seq < event.seq;
  get diagnostics erased = row_count;
  return erased;
end
$function$;

revoke all on function saasctl.audit_checkpoint_open(), saasctl.audit_erase(text, text, text, text, text),
  saasctl.audit_checkpoint_sign(bigint, timestamptz, text, bytea, text) from public;

grant create on schema saasctl to saasctl_audit;
alter table saasctl.audit_checkpoint owner to saasctl_audit;
alter table saasctl.audit_checkpoint_head owner to saasctl_audit;
alter function saasctl.audit_checkpoint_open() owner to saasctl_audit;
alter function saasctl.audit_checkpoint_sign(bigint, timestamptz, text, bytea, text) owner to saasctl_audit;
alter function saasctl.audit_erase(text, text, text, text, text) owner to saasctl_audit;
revoke create on schema saasctl from saasctl_audit;

set local role saasctl_audit;
grant execute on function saasctl.audit_checkpoint_open(), saasctl.audit_erase(text, text, text, text, text),
  saasctl.audit_checkpoint_sign(bigint, timestamptz, text, bytea, text) to saasctl_control;
grant select on saasctl.audit_checkpoint, saasctl.audit_checkpoint_head to saasctl_control, saasctl_auditor;
reset role;

update saasctl.instance set schema_version = 16;

-- Down Migration

set local role saasctl_audit;
drop function saasctl.audit_erase(text, text, text, text, text);
drop function saasctl.audit_checkpoint_sign(bigint, timestamptz, text, bytea, text);
drop function saasctl.audit_checkpoint_open();
drop table saasctl.audit_checkpoint_head, saasctl.audit_checkpoint;
reset role;
grant create on schema saasctl to saasctl_audit;
set local role saasctl_audit;
alter table saasctl.audit_chain alter column chain type text collate "default";
alter table saasctl.audit_event alter column chain type text collate "default";
alter table saasctl.audit_payload alter column chain type text collate "default";
reset role;
revoke create on schema saasctl from saasctl_audit;
revoke select (id, slug, status) on saasctl.tenant from saasctl_auditor;
drop function saasctl.operator_asks(bytea);
drop trigger hold_kept on saasctl.tenant;
drop function saasctl.hold_kept();
drop table saasctl.hold, saasctl.approval, saasctl.operator_token, saasctl.operator;
update saasctl.instance set schema_version = 15;
