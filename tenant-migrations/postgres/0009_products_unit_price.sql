-- saasctl: phase=expand lock_timeout=5s

-- Up Migration
-- A tenant has some thousand of them: the lock is held for milliseconds, and lock_timeout bounds the waiting for it.
-- lint-allow: constraint.scan
-- Cents became too coarse for usage-based prices. Programs of both ages write for a while, each its own column.
alter table products add column unit_price numeric(14, 4);
alter table products alter column price_cents drop not null;

update products set unit_price = price_cents / 100.0;

alter table products add constraint products_unit_price_positive check (unit_price >= 0);

-- statement
create function sync_product_price() returns trigger
language plpgsql
as $$
begin
  if tg_op = 'INSERT' then
    new.unit_price := coalesce(new.unit_price, new.price_cents / 100.0);
    new.price_cents := coalesce(new.price_cents, round(new.unit_price * 100));
  elsif new.unit_price is distinct from old.unit_price then
    new.price_cents := round(new.unit_price * 100);
  elsif new.price_cents is distinct from old.price_cents then
    new.unit_price := new.price_cents / 100.0;
  end if;
  return new;
end
$$;
-- statement

-- statement
create trigger products_price_insert before insert on products
for each row execute function sync_product_price();
-- statement

-- statement
create trigger products_price_update before update on products
for each row execute function sync_product_price();
-- statement

-- Down Migration
drop trigger products_price_update on products;
drop trigger products_price_insert on products;
drop function sync_product_price();
alter table products drop column unit_price;
alter table products alter column price_cents set not null;
