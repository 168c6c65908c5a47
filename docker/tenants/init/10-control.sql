-- The control login, with exactly the rights that `saasctl server check` asks for, on a server closed to the public.
\set password `cat /run/secrets/tenants_password`

create role saasctl_server login createdb createrole password :'password';
grant pg_signal_backend to saasctl_server;

revoke all on database postgres, template1 from public;
grant connect on database postgres to saasctl_server;

-- Not required: with these a plan can bound temporary files, `server check` sees the rules of pg_hba.conf, and the control
-- plane gets in when tenants hold every other connection.
grant set on parameter temp_file_limit to saasctl_server;
grant select on pg_catalog.pg_hba_file_rules to saasctl_server;
grant execute on function pg_catalog.pg_hba_file_rules() to saasctl_server;
grant pg_use_reserved_connections to saasctl_server;
