-- Up Migration

create table saasctl.tenant (
  id uuid primary key,
  slug text not null collate "C",
  display_name text,
  -- creating: promised, shown to nobody yet. failed: its creation was undone. deleted: in grace, can come back. purged: gone.
  status text not null check (status in ('creating', 'active', 'suspended', 'deleted', 'purging', 'purged', 'failed')),
  plan text not null references saasctl.plan (name),
  template text not null,
  labels jsonb not null default '{}',
  region text,
  -- Grows at every change that a router must see.
  revision bigint not null default 1,
  -- What to come back to after an undelete.
  status_before_delete text check (status_before_delete in ('active', 'suspended')),
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  purge_at timestamptz
);
create unique index tenant_slug on saasctl.tenant (slug) where status not in ('purged', 'failed');
-- One per filter of `tenant list`, each in the order of its pages.
create index tenant_plan on saasctl.tenant (plan, slug) where status not in ('purged', 'failed');
create index tenant_status on saasctl.tenant (status, slug);
create index tenant_labels on saasctl.tenant using gin (labels jsonb_path_ops);
create index tenant_purge on saasctl.tenant (purge_at) where status = 'deleted';

-- A slug freed by rename or purge; it can be had again after `until`, by its last holder at once.
create table saasctl.slug_quarantine (
  slug text primary key collate "C",
  tenant_id uuid not null references saasctl.tenant (id),
  until timestamptz not null
);

-- Rows are never deleted: a name on a server is never used twice, and a dropped database is proof of what was ours.
create table saasctl.database (
  id uuid primary key,
  server_id uuid not null references saasctl.server (id),
  name text not null,
  kind text not null check (kind in ('tenant', 'template')),
  template_id uuid not null references saasctl.template (id),
  -- building: an operation makes it. ready: a warm one, or a sealed template. placed: a tenant's.
  -- retired: replaced, kept for its grace. dropping, dropped: on its way out, gone.
  state text not null check (state in ('building', 'ready', 'placed', 'retired', 'dropping', 'dropped')),
  -- The limits on the server now, and their checksum: a warm database serves a plan with the same profile.
  limits jsonb not null,
  profile text not null,
  active_app text not null default 'app_a' check (active_app in ('app_a', 'app_b')),
  migration text,
  migrations_checksum text,
  fingerprint text,
  bytes bigint,
  created_at timestamptz not null default now(),
  dropped_at timestamptz,
  unique (server_id, name)
);
create index database_warm on saasctl.database (template_id, server_id, profile, id) where state = 'ready' and kind = 'tenant';
create index database_template on saasctl.database (server_id, template_id) where kind = 'template';
create index database_state on saasctl.database (server_id, state);

create table saasctl.placement (
  tenant_id uuid primary key references saasctl.tenant (id),
  database_id uuid not null unique references saasctl.database (id),
  since timestamptz not null default now()
);

-- Two data keys per database, wrapped by two master keys: a stolen routing key opens app logins and nothing more.
create table saasctl.data_key (
  database_id uuid not null references saasctl.database (id),
  purpose text not null check (purpose in ('routing', 'control')),
  version integer not null,
  wrapped bytea not null,
  master_key_id text not null,
  primary key (database_id, purpose, version)
);

create table saasctl.login (
  database_id uuid not null references saasctl.database (id),
  role text not null check (role in ('owner', 'app_a', 'app_b', 'readonly')),
  name text not null,
  purpose text not null check (purpose in ('routing', 'control')),
  key_version integer not null,
  version integer not null,
  sealed bytea not null,
  changed_at timestamptz not null default now(),
  primary key (database_id, role)
);

-- How many databases are kept ready for claiming; the workers fill what is missing.
create table saasctl.warm_target (
  template text not null,
  server_id uuid not null references saasctl.server (id),
  plan text not null references saasctl.plan (name),
  wanted integer not null check (wanted >= 0),
  primary key (template, server_id, plan)
);

grant select, insert, update, delete on saasctl.warm_target, saasctl.tenant, saasctl.slug_quarantine, saasctl.database, saasctl.placement,
  saasctl.data_key, saasctl.login to saasctl_control;
update saasctl.instance set schema_version = 3;

-- Down Migration

drop table saasctl.warm_target, saasctl.login, saasctl.data_key, saasctl.placement, saasctl.database, saasctl.slug_quarantine, saasctl.tenant;
update saasctl.instance set schema_version = 2;
