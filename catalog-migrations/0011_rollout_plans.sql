-- Up Migration

-- How long a target's work took, and each of its files: what the next plan is estimated from. In milliseconds.
alter table saasctl.rollout_target add column work_ms double precision, add column file_ms jsonb;

-- What trying its files on clones has shown, and how long each took there.
alter table saasctl.rollout add column rehearsals jsonb not null default '[]';

-- What a look inside that is cheaper than a fingerprint saw when the fingerprint was taken; null where there is none.
alter table saasctl.database add column schema_stamp text;

update saasctl.instance set schema_version = 11;

-- Down Migration

alter table saasctl.database drop column schema_stamp;
alter table saasctl.rollout drop column rehearsals;
alter table saasctl.rollout_target drop column work_ms, drop column file_ms;
update saasctl.instance set schema_version = 10;
