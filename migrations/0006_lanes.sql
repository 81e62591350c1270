-- Files that take long to read wait apart from the others, so that these do not wait for them.
alter table revision add column lane text not null default 'fast' check (lane in ('fast', 'slow'));
create index revision_slow on revision (tenant_id, id)
  where lane = 'slow' and status in ('queued', 'parsing', 'chunking', 'embedding');
grant select (lane) on revision to lectern_system;
