-- Up Migration

create table saasctl.operation (
  id uuid primary key,
  kind text not null,
  -- What it works on, as `noun:id`; a tenant is named in its own column too, for exclusivity.
  subject text not null,
  tenant_id uuid references saasctl.tenant (id),
  exclusion text not null check (exclusion in ('exclusive', 'shared', 'preempts')),
  input jsonb not null,
  input_version integer not null,
  idempotency_key text unique,
  request_checksum text,
  actor jsonb not null,
  -- waiting: between two tries. undoing: being compensated, newest step first.
  status text not null check (status in ('queued', 'running', 'waiting', 'undoing', 'succeeded', 'failed', 'cancelled')),
  cancel_requested boolean not null default false,
  -- Runs only after this one has succeeded, and fails with it.
  after uuid references saasctl.operation (id),
  attempt integer not null default 0,
  next_at timestamptz not null default now(),
  -- Fencing: every takeover counts the epoch up, and every write names the epoch it believes in.
  epoch integer not null default 0,
  owner text,
  lease_until timestamptz,
  error jsonb,
  result jsonb,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
-- Exclusivity is a fact of the ledger, whatever the programs believe.
create unique index operation_exclusive on saasctl.operation (tenant_id)
  where exclusion = 'exclusive' and status in ('queued', 'running', 'waiting', 'undoing');
create index operation_tenant on saasctl.operation (tenant_id, id desc);
create index operation_open on saasctl.operation (next_at) where status in ('queued', 'running', 'waiting', 'undoing');
create index operation_subject on saasctl.operation (subject) where tenant_id is null and status in ('queued', 'running', 'waiting', 'undoing');
create index operation_after on saasctl.operation (after) where after is not null;

create table saasctl.operation_step (
  operation_id uuid not null references saasctl.operation (id),
  position integer not null,
  name text not null,
  status text not null default 'pending' check (status in ('pending', 'begun', 'done', 'undone')),
  begun_at timestamptz,
  done_at timestamptz,
  error jsonb,
  primary key (operation_id, position)
);

create table saasctl.worker (
  id uuid primary key,
  host text not null,
  pid integer not null,
  version text not null,
  -- Its names in the job queue: what a dead one had locked is unlocked by them.
  queue_ids text[] not null default '{}',
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

grant select, insert, update, delete on saasctl.operation, saasctl.operation_step, saasctl.worker to saasctl_control;
update saasctl.instance set schema_version = 4;

-- Down Migration

drop table saasctl.worker, saasctl.operation_step, saasctl.operation;
update saasctl.instance set schema_version = 3;
