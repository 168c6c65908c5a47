-- Up Migration
create table settings (
  name varchar(60) not null primary key,
  value json not null,
  updated_at timestamp(6) not null default current_timestamp(6)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create trigger settings_touch before update on settings
for each row set new.updated_at = current_timestamp(6);

-- Down Migration
drop table settings;
