-- Up Migration
-- One database a tenant: unique here is unique within the tenant.
create table products (
  id bigint not null auto_increment primary key,
  sku varchar(40) not null,
  name varchar(200) not null,
  price_cents integer not null,
  active boolean not null default true,
  created_at timestamp(6) not null default current_timestamp(6),
  updated_at timestamp(6) not null default current_timestamp(6),
  constraint products_sku_key unique (sku),
  constraint products_sku_present check (sku <> ''),
  constraint products_price_cents_positive check (price_cents >= 0)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create trigger products_touch before update on products
for each row set new.updated_at = current_timestamp(6);

-- Down Migration
drop table products;
