-- saasctl: phase=contract

-- Up Migration
-- The valid check proves that no value is null, so SET NOT NULL reads no row.
alter table customers alter column currency set not null;
alter table customers drop constraint customers_currency_present;

-- Down Migration
alter table customers add constraint customers_currency_present check (currency is not null);
alter table customers alter column currency drop not null;
