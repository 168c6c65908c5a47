-- Twelve customers, eight products, 50 invoices of two lines. All from fixed dates, so that every demo is the same.
-- A seed may run twice after a crash: customers and invoices come only into a database that has none.
insert ignore into products (sku, name, unit_price) values
  ('CONS-DAY', 'Consulting, one day', 1200),
  ('CONS-HOUR', 'Consulting, one hour', 165),
  ('SUP-BASIC', 'Support, basic, one month', 89),
  ('SUP-PRIO', 'Support, priority, one month', 349),
  ('LIC-SEAT', 'Licence, one seat, one month', 19.90),
  ('TRAIN-2D', 'Training, two days', 2650),
  ('HOST-S', 'Hosting, small, one month', 24.50),
  ('API-CALL', 'API call', 0.0035);

insert into customers (name, email, country, currency)
select name, email, country, currency
from (
  select 1 as n, 'Alder & Ash' as name, 'accounts@alder-ash.example' as email, 'GB' as country, 'GBP' as currency
  union all select 2, 'Bergmann Werkzeuge', 'rechnung@bergmann.example', 'DE', 'EUR'
  union all select 3, 'Café Lumière', 'compta@lumiere.example', 'FR', 'EUR'
  union all select 4, 'Delta Freight', 'ap@deltafreight.example', 'US', 'USD'
  union all select 5, 'Écluse Nord', 'compta@ecluse-nord.example', 'FR', 'EUR'
  union all select 6, 'Fjord Design', 'faktura@fjord.example', 'NO', 'EUR'
  union all select 7, 'Grüezi Apps', 'buchhaltung@gruezi.example', 'CH', 'CHF'
  union all select 8, 'Harbour Yoga', 'hello@harbouryoga.example', 'GB', 'GBP'
  union all select 9, 'Ibis Foods', 'cuentas@ibisfoods.example', 'ES', 'EUR'
  union all select 10, 'Juniper Labs', 'billing@juniperlabs.example', 'US', 'USD'
  union all select 11, 'Kato Prints', 'keiri@katoprints.example', 'JP', 'EUR'
  union all select 12, 'Lindqvist Bygg', 'faktura@lindqvist.example', 'SE', 'EUR'
) as list
where not exists (select 1 from customers)
order by n;

insert into projects (customer_id, name, status, starts_on, ends_on)
select id, concat(name, ': roll-out'), case id % 3 when 0 then 'done' else 'open' end, '2025-01-06', '2025-12-19'
from customers
where country in ('DE', 'FR', 'US') and not exists (select 1 from projects where customer_id is not null);

insert ignore into users (email, name, role) values
  ('olga@demo.example', 'Olga Owner', 'owner'),
  ('mehmet@demo.example', 'Mehmet Member', 'member'),
  ('gina@demo.example', 'Gina Guest', 'guest');

-- Drafts first and issued below, so that numbers and events come from the product's own triggers.
insert into invoices (customer_id, project_id, currency, note)
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 50)
select customer.id, project.id, customer.currency, concat('Demo ', n)
from numbers
join (select row_number() over (order by id) as position, id, currency from customers) as customer
  on customer.position = 1 + (n * 7) % 12
left join projects as project on project.customer_id = customer.id
where not exists (select 1 from invoices)
order by n;

insert ignore into invoice_lines (invoice_id, position, product_id, description, quantity, unit_price, tax_rate)
select invoice.id, line, product.id, product.name, 1 + (invoice.n * line) % 5, product.unit_price, 0.19
from (select id, cast(substr(note, 6) as unsigned) as n from invoices where note like 'Demo %') as invoice
cross join (select 1 as line union all select 2) as two_lines
join (select row_number() over (order by sku) as position, id, name, unit_price from products) as product
  on product.position = 1 + (invoice.n * 3 + line) % 8;

update invoices
set status = 'issued', issued_on = date '2025-01-07' + interval cast(substr(note, 6) as unsigned) * 7 day
where note like 'Demo %' and cast(substr(note, 6) as unsigned) <= 44 and status = 'draft'
order by cast(substr(note, 6) as unsigned);

update invoices set status = 'paid' where status = 'issued' and issued_on < date '2025-08-01';
update invoices set status = 'void' where note = 'Demo 13';
