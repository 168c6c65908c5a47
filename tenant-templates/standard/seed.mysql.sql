-- What every new tenant starts with. A seed may run twice after a crash: what is there stays.
insert ignore into settings (name, value) values
  ('currency', '"EUR"'),
  ('payment_days', '30'),
  ('invoice_footer', '"Thank you for your business."'),
  ('week_starts_on', '"monday"');

insert into projects (name, status)
select 'Getting started', 'open' from (select 1 as one) as always
where not exists (select 1 from projects where name = 'Getting started');
