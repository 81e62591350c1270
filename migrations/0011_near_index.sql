-- Since when an index's vectors can be searched approximately; null: they are few, and compared one by one.
alter table knowledge_index add column near_since timestamptz;
grant select (id, tenant_id, dimensions, embedding_model, near_since), update (near_since) on knowledge_index to lectern_system;

-- A year is read however it is written (FY22): documents that are there already are read again after the start.
update document set metadata_terms = null;
