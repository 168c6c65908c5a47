-- Twelve customers, eight products, 50 invoices of two lines. All from fixed dates, so that every demo is the same.
-- A seed may run twice after a crash: customers and invoices come only into a database that has none.
insert into products (sku, name, unit_price) values
  ('CONS-DAY', 'Consulting, one day', 1200),
  ('CONS-HOUR', 'Consulting, one hour', 165),
  ('SUP-BASIC', 'Support, basic, one month', 89),
  ('SUP-PRIO', 'Support, priority, one month', 349),
  ('LIC-SEAT', 'Licence, one seat, one month', 19.90),
  ('TRAIN-2D', 'Training, two days', 2650),
  ('HOST-S', 'Hosting, small, one month', 24.50),
  ('API-CALL', 'API call', 0.0035)
on conflict (sku) do nothing;

insert into customers (name, email, country, currency)
select name, email, country, currency
from (values
  ('Alder & Ash', 'accounts@alder-ash.example', 'GB', 'GBP'),
  ('Bergmann Werkzeuge', 'rechnung@bergmann.example', 'DE', 'EUR'),
  ('Café Lumière', 'compta@lumiere.example', 'FR', 'EUR'),
  ('Delta Freight', 'ap@deltafreight.example', 'US', 'USD'),
  ('Écluse Nord', 'compta@ecluse-nord.example', 'FR', 'EUR'),
  ('Fjord Design', 'faktura@fjord.example', 'NO', 'EUR'),
  ('Grüezi Apps', 'buchhaltung@gruezi.example', 'CH', 'CHF'),
  ('Harbour Yoga', 'hello@harbouryoga.example', 'GB', 'GBP'),
  ('Ibis Foods', 'cuentas@ibisfoods.example', 'ES', 'EUR'),
  ('Juniper Labs', 'billing@juniperlabs.example', 'US', 'USD'),
  ('Kato Prints', 'keiri@katoprints.example', 'JP', 'EUR'),
  ('Lindqvist Bygg', 'faktura@lindqvist.example', 'SE', 'EUR')
) as list (name, email, country, currency)
where not exists (select from customers);

insert into projects (customer_id, name, status, starts_on, ends_on)
select id, name || ': roll-out', case id % 3 when 0 then 'done' else 'open' end, date '2025-01-06', date '2025-12-19'
from customers
where country in ('DE', 'FR', 'US') and not exists (select from projects where customer_id is not null);

insert into users (email, name, role) values
  ('olga@demo.example', 'Olga Owner', 'owner'),
  ('mehmet@demo.example', 'Mehmet Member', 'member'),
  ('gina@demo.example', 'Gina Guest', 'guest')
on conflict do nothing;

-- Drafts first and issued below, so that numbers and events come from the product's own triggers.
insert into invoices (customer_id, project_id, currency, note)
select customer.id, project.id, customer.currency, 'Demo ' || n
from generate_series(1, 50) as n
join (select row_number() over (order by id) as position, id, currency from customers) as customer
  on customer.position = 1 + (n * 7) % 12
left join projects as project on project.customer_id = customer.id
where not exists (select from invoices)
order by n;

insert into invoice_lines (invoice_id, position, product_id, description, quantity, unit_price, tax_rate)
select invoice.id, line, product.id, product.name, 1 + (invoice.n * line) % 5, product.unit_price, 0.19
from (select id, cast(substr(note, 6) as integer) as n from invoices where note like 'Demo %') as invoice
cross join generate_series(1, 2) as line
join (select row_number() over (order by sku) as position, id, name, unit_price from products) as product
  on product.position = 1 + (invoice.n * 3 + line) % 8
on conflict do nothing;

-- statement
do $$
declare
  n integer;
begin
  for n in 1..44 loop
    update invoices set status = 'issued', issued_on = date '2025-01-07' + n * 7
    where note = 'Demo ' || n and status = 'draft';
  end loop;
  update invoices set status = 'paid' where status = 'issued' and issued_on < date '2025-08-01';
  update invoices set status = 'void' where note = 'Demo 13';
end
$$;
-- statement
