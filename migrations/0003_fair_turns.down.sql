drop index event_pending;
create index event_pending on event (created_at) where dispatched_at is null;
revoke select (created_at, lease_token, tries) on revision from lectern_system;
drop index revision_held;
drop index revision_turn;
revoke update (served_at) on tenant from lectern_system;
alter table tenant drop column served_at;
