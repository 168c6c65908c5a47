-- saasctl: phase=contract lock_timeout=5s

-- Up Migration
-- A tenant has some thousand of them: they are written anew in milliseconds, and lock_timeout bounds the waiting.
-- lint-allow: column.type
drop trigger products_price_update;
drop trigger products_price_insert;
alter table products drop constraint products_price_cents_positive;
alter table products drop column price_cents;
alter table products modify unit_price decimal(14, 4) not null;

-- Down Migration
alter table products modify unit_price decimal(14, 4);
alter table products add column price_cents integer;

update products set price_cents = round(unit_price * 100);

alter table products add constraint products_price_cents_positive check (price_cents >= 0);

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
