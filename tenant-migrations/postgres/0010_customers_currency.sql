-- saasctl: phase=expand

-- Up Migration
-- The default comes in a second step: it is for programs that do not know the column yet, not for the rows of today.
alter table customers add column currency char(3);
alter table customers alter column currency set default 'EUR';

update customers set currency = case country
  when 'CH' then 'CHF'
  when 'GB' then 'GBP'
  when 'US' then 'USD'
  else 'EUR'
end;

-- Not valid: the scan of the table happens in the next file, under a lock that lets everybody work.
alter table customers add constraint customers_currency_present check (currency is not null) not valid;
alter table customers add constraint customers_currency_form check (currency = upper(currency)) not valid;

-- Down Migration
alter table customers drop constraint customers_currency_form;
alter table customers drop constraint customers_currency_present;
alter table customers drop column currency;
