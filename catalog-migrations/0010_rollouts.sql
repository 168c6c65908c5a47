-- Up Migration

-- One migration of many tenants. What it runs is kept as it was planned: a start refuses files or a fleet that changed.
create table saasctl.rollout (
  id uuid primary key,
  template text not null,
  direction text not null check (direction in ('up', 'down')),
  -- The last migration to apply, or to keep; null is the newest. Of one that undoes another, each target has its own.
  target text,
  undoes uuid references saasctl.rollout (id),
  selector jsonb not null,
  -- Every tenant of the template: at its end the template itself moves.
  whole_fleet boolean not null,
  -- Waves, soak, gates, brakes and concurrency, as they were asked for.
  settings jsonb not null,
  -- Per engine, the name and checksum of every file up to the target.
  files jsonb not null,
  findings jsonb not null,
  -- braked: stopped by a brake or a gate, with the reason; it goes on when somebody resumes it.
  status text not null check (status in ('planned', 'running', 'paused', 'braked', 'succeeded', 'failed', 'aborted')),
  reason text,
  wave integer not null default 0,
  consecutive_failures integer not null default 0,
  actor jsonb not null,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);
-- Two rollouts of one template would each see the other's tenants as changed: the second waits or is refused.
create unique index rollout_open on saasctl.rollout (template) where status in ('running', 'paused', 'braked');

create table saasctl.rollout_wave (
  rollout_id uuid not null references saasctl.rollout (id) on delete cascade,
  position integer not null,
  name text not null,
  started_at timestamptz,
  -- When its last target was over; its soak and its gates come after that.
  worked_at timestamptz,
  finished_at timestamptz,
  primary key (rollout_id, position)
);

create table saasctl.rollout_target (
  rollout_id uuid not null references saasctl.rollout (id) on delete cascade,
  tenant_id uuid not null references saasctl.tenant (id),
  database_id uuid not null references saasctl.database (id),
  server_id uuid not null references saasctl.server (id),
  wave integer not null,
  -- skipped: not migrated, because the tenant went away or the rollout was aborted.
  status text not null default 'pending' check (status in ('pending', 'running', 'done', 'failed', 'skipped')),
  -- Where its schema stood when it was planned, and where it is to end.
  before text,
  after text,
  -- The lane's operation that works it, and its own, which holds the tenant.
  lane_id uuid references saasctl.operation (id),
  operation_id uuid references saasctl.operation (id),
  attempt integer not null default 0,
  next_at timestamptz not null default now(),
  error jsonb,
  started_at timestamptz,
  finished_at timestamptz,
  primary key (rollout_id, tenant_id)
);
create index rollout_target_lane on saasctl.rollout_target (rollout_id, wave, server_id, status, next_at);
create index rollout_target_running on saasctl.rollout_target (lane_id) where status = 'running';
create index rollout_target_tenant on saasctl.rollout_target (tenant_id);

grant select, insert, update, delete on saasctl.rollout, saasctl.rollout_wave, saasctl.rollout_target to saasctl_control;

-- What a rollout asks of a fleet: who is not where the template's files end.
create index database_schema on saasctl.database (migration, migrations_checksum) where state = 'placed';

update saasctl.instance set schema_version = 10;

-- Down Migration

drop index saasctl.database_schema;
drop table saasctl.rollout_target, saasctl.rollout_wave, saasctl.rollout;
update saasctl.instance set schema_version = 9;
