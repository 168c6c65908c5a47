-- Up Migration
-- A tenant has some thousand of them: the lock is held for milliseconds, and lock_timeout bounds the waiting for it.
-- lint-allow: constraint.index constraint.scan
-- A row instead of a sequence: a rolled-back transaction leaves no gap, which tax offices ask for.
create table invoice_counters (
  year smallint primary key,
  last_number integer not null
);

alter table invoices add column number varchar(20);

-- statement
create function number_invoice() returns trigger
language plpgsql
as $$
declare
  counted integer;
begin
  if new.status = 'draft' or new.number is not null then
    return new;
  end if;
  new.issued_on := coalesce(new.issued_on, current_date);
  new.due_on := coalesce(new.due_on, new.issued_on + 30);
  insert into public.invoice_counters as counter (year, last_number)
  values (extract(year from new.issued_on), 1)
  on conflict (year) do update set last_number = counter.last_number + 1
  returning counter.last_number into counted;
  new.number := to_char(new.issued_on, 'YYYY') || '-' || lpad(counted::text, 5, '0');
  return new;
end
$$;
-- statement

-- statement
create trigger invoices_number_insert before insert on invoices
for each row execute function number_invoice();
-- statement

-- statement
create trigger invoices_number_update before update on invoices
for each row execute function number_invoice();
-- statement

-- Numbers what was issued before there were numbers, oldest first.
-- statement
do $$
declare
  old_invoice record;
begin
  for old_invoice in select id from invoices where status <> 'draft' order by issued_on nulls last, id loop
    update invoices set status = status where id = old_invoice.id;
  end loop;
end
$$;
-- statement

alter table invoices add constraint invoices_number_key unique (number);
alter table invoices add constraint invoices_number_when_issued check ((status = 'draft') = (number is null));

-- Down Migration
drop trigger invoices_number_update on invoices;
drop trigger invoices_number_insert on invoices;
drop function number_invoice();
alter table invoices drop column number;
drop table invoice_counters;
