-- Up Migration

-- Group roles; logins are made by `saasctl catalog credentials create` and are members of one of them.
-- Roles belong to the whole server, so another catalog on it may have made them already.
-- saasctl_audit owns the audit tables and can never log in; control is no member of it.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['saasctl_control', 'saasctl_router', 'saasctl_auditor', 'saasctl_audit'] loop
    begin
      execute format('create role %I nologin', wanted);
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
  -- To hand tables over, their present owner must be able to become the new one: since 16 a role's maker is not.
  execute format('grant saasctl_audit to %I', current_user);
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to saasctl_control, saasctl_router, saasctl_auditor', current_database());
end
$$;

grant usage on schema saasctl to saasctl_control, saasctl_router, saasctl_auditor;

-- The incarnation changes when a restored catalog is adopted: fences and routers compare it, so a rewound catalog
-- cannot be mistaken for the present one. Programs older than oldest_program must not touch this catalog.
create table saasctl.instance (
  one boolean primary key default true check (one),
  incarnation uuid not null default gen_random_uuid(),
  schema_version integer not null,
  oldest_program integer not null,
  created_at timestamptz not null default now(),
  adopted_at timestamptz,
  keys_backed_up_at timestamptz
);

insert into saasctl.instance (schema_version, oldest_program) values (1, 1);

grant select, update on saasctl.instance to saasctl_control;
grant select on saasctl.instance to saasctl_router, saasctl_auditor;

-- Down Migration

drop table saasctl.instance;
