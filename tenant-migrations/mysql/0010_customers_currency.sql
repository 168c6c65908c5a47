-- saasctl: phase=expand

-- Up Migration
-- A tenant has some thousand of them: they are read in milliseconds, and lock_timeout bounds the waiting for the lock.
-- lint-allow: constraint.scan
-- The default comes in a second step: it is for programs that do not know the column yet, not for the rows of today.
alter table customers add column currency char(3);
alter table customers alter column currency set default 'EUR';

update customers set currency = case country
  when 'CH' then 'CHF'
  when 'GB' then 'GBP'
  when 'US' then 'USD'
  else 'EUR'
end;

alter table customers add constraint customers_currency_present check (currency is not null);
alter table customers add constraint customers_currency_form check (currency = upper(currency));

-- Down Migration
alter table customers drop constraint customers_currency_form;
alter table customers drop constraint customers_currency_present;
alter table customers drop column currency;
