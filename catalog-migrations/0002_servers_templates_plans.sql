-- Up Migration

create table saasctl.server (
  id uuid primary key,
  name text not null,
  engine text not null check (engine in ('postgres', 'mysql')),
  host text not null,
  port integer not null check (port between 1 and 65535),
  tls jsonb not null default '{"mode": "verify-full"}',
  maintenance text not null,
  control_login text not null,
  control_password bytea not null,
  region text,
  labels jsonb not null default '{}',
  -- Databases it may hold; null is no bound. `databases` counts what is there or promised, in the promising transaction.
  capacity integer check (capacity >= 0),
  databases integer not null default 0 check (databases >= 0),
  status text not null default 'active' check (status in ('active', 'cordoned', 'removed')),
  embedded boolean not null default false,
  facts jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create unique index server_name on saasctl.server (name) where status <> 'removed';

-- The files are the truth; a changed file makes a new version here, and older tenants keep pointing at theirs.
create table saasctl.template (
  id uuid primary key,
  name text not null,
  version integer not null,
  checksum text not null,
  definition jsonb not null,
  created_at timestamptz not null default now(),
  unique (name, version)
);

create table saasctl.plan (
  name text primary key,
  checksum text not null,
  definition jsonb not null,
  revision bigint not null default 1,
  updated_at timestamptz not null default now()
);

-- What each migration file said when it was first applied anywhere: an edited file is found by this.
create table saasctl.migration_file (
  template text not null,
  engine text not null,
  name text not null,
  checksum text not null,
  recorded_at timestamptz not null default now(),
  primary key (template, engine, name)
);

grant select, insert, update, delete on saasctl.server, saasctl.template, saasctl.plan, saasctl.migration_file to saasctl_control;
update saasctl.instance set schema_version = 2;

-- Down Migration

drop table saasctl.migration_file, saasctl.plan, saasctl.template, saasctl.server;
update saasctl.instance set schema_version = 1;
