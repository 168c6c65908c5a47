-- What every new tenant starts with. A seed may run twice after a crash: what is there stays.
insert into settings (name, value) values
  ('currency', '"EUR"'),
  ('payment_days', '30'),
  ('invoice_footer', '"Thank you for your business."'),
  ('week_starts_on', '"monday"')
on conflict (name) do nothing;

insert into projects (name, status)
select 'Getting started', 'open'
where not exists (select from projects where name = 'Getting started');
