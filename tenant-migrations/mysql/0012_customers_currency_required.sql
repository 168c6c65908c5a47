-- saasctl: phase=contract

-- Up Migration
-- A tenant has some thousand of them: they are written anew in milliseconds.
-- lint-allow: column.type
alter table customers modify currency char(3) not null default 'EUR';
alter table customers drop constraint customers_currency_present;

-- Down Migration
alter table customers add constraint customers_currency_present check (currency is not null);
alter table customers modify currency char(3) default 'EUR';
