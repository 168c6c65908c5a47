-- Up Migration

-- What a schema is that the template's files make, thing by thing: read once on a scratch database, compared with many.
-- By the checksum of the names and contents of the migrations; a server's major version prints the same thing in its own way.
create table saasctl.schema_reference (
  engine text not null,
  flavour text not null,
  major integer not null,
  migrations_checksum text not null,
  fingerprint text not null,
  facts jsonb not null,
  read_at timestamptz not null default now(),
  primary key (engine, flavour, major, migrations_checksum)
);

-- The last look into a database, to compare it with its template.
create table saasctl.drift (
  database_id uuid primary key references saasctl.database (id),
  checked_at timestamptz not null default now(),
  fingerprint text not null,
  -- How many things differ; 0 is none. The first of them stand in `sample`.
  differences integer not null,
  sample jsonb not null
);
create index drift_found on saasctl.drift (database_id) where differences > 0;

-- A database that was there before the tenant was: what it was called, whose it was and what was changed.
create table saasctl.adoption (
  database_id uuid primary key references saasctl.database (id),
  original_name text not null,
  before jsonb not null,
  adopted_at timestamptz not null default now()
);

grant select, insert, update, delete on saasctl.schema_reference, saasctl.drift, saasctl.adoption to saasctl_control;
update saasctl.instance set schema_version = 12;

-- Down Migration

drop table saasctl.adoption, saasctl.drift, saasctl.schema_reference;
update saasctl.instance set schema_version = 11;
