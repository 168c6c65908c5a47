-- Up Migration
create table projects (
  id bigint not null auto_increment primary key,
  customer_id bigint,
  name varchar(200) not null,
  status varchar(20) not null default 'open',
  starts_on date,
  ends_on date,
  created_at timestamp(6) not null default current_timestamp(6),
  updated_at timestamp(6) not null default current_timestamp(6),
  key projects_customer_id_index (customer_id),
  constraint projects_customer_id_fkey foreign key (customer_id) references customers (id),
  constraint projects_status_known check (status in ('open', 'paused', 'done')),
  constraint projects_ends_after_start check (ends_on >= starts_on)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create trigger projects_touch before update on projects
for each row set new.updated_at = current_timestamp(6);

-- Down Migration
drop table projects;
