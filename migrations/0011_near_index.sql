-- Since when an index's vectors can be searched approximately; null: they are few, and compared one by one.
alter table knowledge_index add column near_since timestamptz;
grant select (id, tenant_id, dimensions, near_since), update (near_since) on knowledge_index to lectern_system;
