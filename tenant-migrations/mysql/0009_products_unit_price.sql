-- saasctl: phase=expand lock_timeout=5s

-- Up Migration
-- A tenant has some thousand of them: they are read in milliseconds, and lock_timeout bounds the waiting for the lock.
-- lint-allow: constraint.scan column.type
-- Cents became too coarse for usage-based prices. Programs of both ages write for a while, each its own column.
alter table products add column unit_price decimal(14, 4);
alter table products modify price_cents integer;

update products set unit_price = price_cents / 100;

alter table products add constraint products_unit_price_positive check (unit_price >= 0);

-- statement
create trigger products_price_insert before insert on products
for each row begin
  set new.unit_price = coalesce(new.unit_price, new.price_cents / 100);
  set new.price_cents = coalesce(new.price_cents, round(new.unit_price * 100));
end;
-- statement

-- statement
create trigger products_price_update before update on products
for each row begin
  if not (new.unit_price <=> old.unit_price) then
    set new.price_cents = round(new.unit_price * 100);
  elseif not (new.price_cents <=> old.price_cents) then
    set new.unit_price = new.price_cents / 100;
  end if;
end;
-- statement

-- Down Migration
drop trigger products_price_update;
drop trigger products_price_insert;
alter table products drop constraint products_unit_price_positive;
alter table products drop column unit_price;
alter table products modify price_cents integer not null;
