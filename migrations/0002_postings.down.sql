-- The term vectors come back empty: keyword search finds what is ingested from then on.
drop table posting, segment_revision, segment;
alter table chunk add column terms sparsevec(1000000000) not null default '{}/1000000000';
alter table chunk alter column terms drop default;
revoke select (index_id, revision_id, tenant_id, ordinal) on chunk from lectern_system;
