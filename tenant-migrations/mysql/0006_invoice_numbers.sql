-- Up Migration
-- A tenant has some thousand of them: they are read in milliseconds, and lock_timeout bounds the waiting for the lock.
-- lint-allow: constraint.scan
-- A row instead of auto_increment: a rolled-back transaction leaves no gap, which tax offices ask for.
create table invoice_counters (
  year smallint not null primary key,
  last_number integer not null
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

alter table invoices add column number varchar(20);

-- statement
create trigger invoices_number_insert before insert on invoices
for each row begin
  declare counted integer;
  if new.status <> 'draft' and new.number is null then
    set new.issued_on = coalesce(new.issued_on, current_date);
    set new.due_on = coalesce(new.due_on, new.issued_on + interval 30 day);
    insert into invoice_counters (year, last_number) values (year(new.issued_on), 1)
    on duplicate key update last_number = last_number + 1;
    select last_number into counted from invoice_counters where year = year(new.issued_on);
    set new.number = concat(year(new.issued_on), '-', lpad(counted, 5, '0'));
  end if;
end;
-- statement

-- statement
create trigger invoices_number_update before update on invoices
for each row begin
  declare counted integer;
  if new.status <> 'draft' and new.number is null then
    set new.issued_on = coalesce(new.issued_on, current_date);
    set new.due_on = coalesce(new.due_on, new.issued_on + interval 30 day);
    insert into invoice_counters (year, last_number) values (year(new.issued_on), 1)
    on duplicate key update last_number = last_number + 1;
    select last_number into counted from invoice_counters where year = year(new.issued_on);
    set new.number = concat(year(new.issued_on), '-', lpad(counted, 5, '0'));
  end if;
end;
-- statement

-- Numbers what was issued before there were numbers, oldest first.
update invoices set status = status where status <> 'draft' order by issued_on is null, issued_on, id;

alter table invoices add constraint invoices_number_key unique (number);
alter table invoices add constraint invoices_number_when_issued check ((status = 'draft') = (number is null));

-- Down Migration
drop trigger invoices_number_update;
drop trigger invoices_number_insert;
alter table invoices drop constraint invoices_number_when_issued;
alter table invoices drop column number;
drop table invoice_counters;
