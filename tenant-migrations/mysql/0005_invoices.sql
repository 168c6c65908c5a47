-- Up Migration
create table invoice_statuses (
  code varchar(20) not null primary key,
  label varchar(60) not null,
  position smallint not null,
  settled boolean not null,
  constraint invoice_statuses_position_key unique (position)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- The program's code knows these, so they come with the schema and not with a seed.
insert into invoice_statuses (code, label, position, settled) values
  ('draft', 'Draft', 1, false),
  ('issued', 'Issued', 2, false),
  ('paid', 'Paid', 3, true),
  ('void', 'Void', 4, true);

create table invoices (
  id bigint not null auto_increment primary key,
  customer_id bigint not null,
  project_id bigint,
  status varchar(20) not null default 'draft',
  currency char(3) not null default 'EUR',
  issued_on date,
  due_on date,
  note varchar(2000),
  created_at timestamp(6) not null default current_timestamp(6),
  updated_at timestamp(6) not null default current_timestamp(6),
  key invoices_customer_id_index (customer_id),
  key invoices_project_id_index (project_id),
  key invoices_status_index (status, due_on),
  constraint invoices_customer_id_fkey foreign key (customer_id) references customers (id),
  constraint invoices_project_id_fkey foreign key (project_id) references projects (id),
  constraint invoices_status_fkey foreign key (status) references invoice_statuses (code),
  constraint invoices_currency_form check (currency = upper(currency)),
  constraint invoices_due_after_issue check (due_on >= issued_on)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create trigger invoices_touch before update on invoices
for each row set new.updated_at = current_timestamp(6);

create table invoice_lines (
  invoice_id bigint not null,
  position smallint not null,
  product_id bigint,
  description varchar(500) not null,
  quantity decimal(12, 3) not null default 1,
  unit_price decimal(14, 4) not null,
  tax_rate decimal(5, 4) not null default 0,
  net_amount decimal(14, 2) generated always as (round(quantity * unit_price, 2)) stored,
  tax_amount decimal(14, 2) generated always as (round(round(quantity * unit_price, 2) * tax_rate, 2)) stored,
  primary key (invoice_id, position),
  key invoice_lines_product_id_index (product_id),
  constraint invoice_lines_invoice_id_fkey foreign key (invoice_id) references invoices (id) on delete cascade,
  constraint invoice_lines_product_id_fkey foreign key (product_id) references products (id),
  constraint invoice_lines_position_positive check (position > 0),
  constraint invoice_lines_tax_rate_range check (tax_rate between 0 and 1)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create view invoice_totals as
select invoice_id, sum(net_amount) as net_total, sum(tax_amount) as tax_total, sum(net_amount + tax_amount) as total
from invoice_lines
group by invoice_id;

-- Down Migration
drop view invoice_totals;
drop table invoice_lines;
drop table invoices;
drop table invoice_statuses;
