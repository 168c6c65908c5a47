-- Up Migration
-- MariaDB has no index on an expression: the invisible column is one, and no "select *" shows it.
create table users (
  id bigint not null auto_increment primary key,
  email varchar(254) not null,
  name varchar(200) not null,
  role varchar(20) not null default 'member',
  active boolean not null default true,
  created_at timestamp(6) not null default current_timestamp(6),
  updated_at timestamp(6) not null default current_timestamp(6),
  email_lower varchar(254) generated always as (lower(email)) virtual invisible,
  constraint users_email_key unique (email_lower),
  constraint users_email_form check (email like '%_@_%'),
  constraint users_role_known check (role in ('owner', 'member', 'guest'))
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create trigger users_touch before update on users
for each row set new.updated_at = current_timestamp(6);

-- Down Migration
drop table users;
