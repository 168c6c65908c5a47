-- Up Migration

-- One copy of one tenant database in a store. Its row stays when the copy is gone, as proof of what there was.
create table saasctl.backup (
  id uuid primary key,
  tenant_id uuid not null references saasctl.tenant (id),
  database_id uuid not null references saasctl.database (id),
  operation_id uuid references saasctl.operation (id) deferrable initially deferred,
  reason text not null check (reason in ('manual', 'schedule', 'final')),
  -- removing: it is nobody's any more, its objects may still be there.
  status text not null default 'making' check (status in ('making', 'complete', 'failed', 'removing', 'removed')),
  store text not null,
  object text,
  manifest text,
  -- Which of the key store's keys it was sealed with.
  key_id text,
  bytes bigint,
  row_count bigint,
  format text,
  tool text,
  migration text,
  created_at timestamptz not null default now(),
  taken_at timestamptz,
  finished_at timestamptz,
  -- When it was last restored to a scratch database and was the same; and how that failed, when it was not.
  verified_at timestamptz,
  verify_error jsonb,
  hold_reason text,
  expires_at timestamptz,
  -- When its objects were removed, of a failed one too.
  removed_at timestamptz
);
create index backup_tenant on saasctl.backup (tenant_id, id desc);
create index backup_unsettled on saasctl.backup (id) where status = 'removing' or status = 'failed' and removed_at is null;

-- When each tenant is to be backed up and drilled next; null is never by itself.
create table saasctl.backup_schedule (
  tenant_id uuid primary key references saasctl.tenant (id) on delete cascade,
  next_at timestamptz,
  drill_at timestamptz,
  -- It was asked for by hand: what the plan says does not put it off.
  asked boolean not null default false
);
create index backup_schedule_next on saasctl.backup_schedule (next_at);
create index backup_schedule_drill on saasctl.backup_schedule (drill_at);

-- Whether its end is preceded by a last backup.
alter table saasctl.tenant add column final_backup boolean not null default true;

grant select, insert, update on saasctl.backup to saasctl_control;
grant select, insert, update, delete on saasctl.backup_schedule to saasctl_control;
grant select on saasctl.backup to saasctl_auditor;

update saasctl.instance set schema_version = 14;

-- Down Migration

alter table saasctl.tenant drop column final_backup;
drop table saasctl.backup_schedule, saasctl.backup;
update saasctl.instance set schema_version = 13;
