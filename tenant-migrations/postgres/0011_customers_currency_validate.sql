-- saasctl: transaction=false lock_timeout=5s

-- Up Migration
-- Outside a transaction each line gives its lock back at once. After a crash a line may run again, which is OK here.
alter table customers validate constraint customers_currency_present;
alter table customers validate constraint customers_currency_form;

-- Down Migration
alter table customers
  drop constraint if exists customers_currency_present,
  add constraint customers_currency_present check (currency is not null) not valid;
alter table customers
  drop constraint if exists customers_currency_form,
  add constraint customers_currency_form check (currency = upper(currency)) not valid;
