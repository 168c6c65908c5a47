# The control login, with exactly the rights that `saasctl server check` asks for; no rights on test databases, no login
# without a name. The image reads it once, into a shell that has docker_process_sql.
docker_process_sql --database=mysql <<SQL
DELETE FROM mysql.db WHERE Db LIKE 'test%';
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
CREATE USER 'saasctl_server'@'%' IDENTIFIED BY '$(cat /run/secrets/tenants_password)';
GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO 'saasctl_server'@'%';
GRANT SELECT ON mysql.* TO 'saasctl_server'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, TRIGGER ON \`t__________________________\`.* TO 'saasctl_server'@'%' WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, TRIGGER ON \`t__________________________ctl\`.* TO 'saasctl_server'@'%' WITH GRANT OPTION;
SQL
