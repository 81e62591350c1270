-- Work is taken by turns: from the tenant that is being served least, and among those from the one served longest ago.
alter table tenant add column served_at timestamptz;
grant update (served_at) on tenant to lectern_system;

-- Whoever waits and whoever is being served, found without reading the backlog.
create index revision_turn on revision (tenant_id, created_at) where status in ('queued', 'parsing', 'chunking', 'embedding');
create index revision_held on revision (tenant_id) where lease_token is not null;
grant select (created_at, lease_token, tries) on revision to lectern_system;

-- A tenant's untold events, oldest first, beside everybody else's.
drop index event_pending;
create index event_pending on event (tenant_id, created_at, id) where dispatched_at is null;
