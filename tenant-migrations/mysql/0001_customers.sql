-- Up Migration
-- utf8mb4_bin: equal is what is the same, in upper and lower case and with every accent, as on the other engine.
create table customers (
  id bigint not null auto_increment primary key,
  name varchar(200) not null,
  email varchar(254) not null,
  country char(2),
  created_at timestamp(6) not null default current_timestamp(6),
  updated_at timestamp(6) not null default current_timestamp(6),
  constraint customers_name_present check (name <> ''),
  constraint customers_email_form check (email like '%_@_%'),
  constraint customers_country_form check (country = upper(country))
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create index customers_name_index on customers (name);
create index customers_email_index on customers (email);

create trigger customers_touch before update on customers
for each row set new.updated_at = current_timestamp(6);

-- Down Migration
drop table customers;
