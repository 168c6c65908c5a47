-- Up Migration
create table events (
  id bigint not null auto_increment primary key,
  at timestamp(6) not null default current_timestamp(6),
  user_id bigint,
  action varchar(60) not null,
  subject_type varchar(40) not null,
  subject_id bigint,
  data json not null default ('{}'),
  key events_subject_index (subject_type, subject_id, id),
  key events_at_index (at)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- No trigger hears a TRUNCATE here; the app has no right to it.
create trigger events_refuse_update before update on events
for each row signal sqlstate '23000' set message_text = 'events are append-only: update is refused';

create trigger events_refuse_delete before delete on events
for each row signal sqlstate '23000' set message_text = 'events are append-only: delete is refused';

create trigger invoices_record_insert after insert on invoices
for each row
  insert into events (action, subject_type, subject_id, data)
  values (concat('invoice.', new.status), 'invoice', new.id, json_object('number', new.number));

-- statement
create trigger invoices_record_update after update on invoices
for each row begin
  if new.status <> old.status then
    insert into events (action, subject_type, subject_id, data)
    values (concat('invoice.', new.status), 'invoice', new.id, json_object('number', new.number));
  end if;
end;
-- statement

-- Down Migration
drop trigger invoices_record_update;
drop trigger invoices_record_insert;
drop table events;
