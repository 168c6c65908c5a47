-- Up Migration
create table settings (
  name varchar(60) primary key,
  value jsonb not null,
  updated_at timestamptz not null default now()
);

-- statement
create trigger settings_touch before update on settings
for each row execute function touch_updated_at();
-- statement

-- Down Migration
drop table settings;
