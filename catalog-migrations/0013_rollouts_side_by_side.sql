-- Up Migration

-- Two rollouts of one template may run side by side when no tenant is in both; whoever starts one looks, one at a time.
drop index saasctl.rollout_open;
create index rollout_open on saasctl.rollout (template) where status in ('running', 'paused', 'braked');

update saasctl.instance set schema_version = 13;

-- Down Migration

drop index saasctl.rollout_open;
create unique index rollout_open on saasctl.rollout (template) where status in ('running', 'paused', 'braked');
update saasctl.instance set schema_version = 12;
