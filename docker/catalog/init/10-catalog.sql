-- The owner of the catalog: no superuser. CREATEROLE is for the catalog's own group roles and credentials.
\set password `cat /run/secrets/catalog_password`

create role saasctl_admin login createrole password :'password';
create database saasctl owner saasctl_admin template template0;
revoke all on database saasctl, postgres, template1 from public;
