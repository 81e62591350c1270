drop table reindex;
drop index revision_staged;
alter table segment_revision drop column language;
revoke select (id, tenant_id, index_id, titles_index) on knowledge_base from lectern_system;
drop index knowledge_base_titles;
alter table knowledge_base drop column index_id, drop column titles_index;
revoke select (knowledge_base_id, building) on knowledge_index from lectern_system;
drop index knowledge_index_base;
-- Refused where a base has two indexes under one pipeline: free the older versions first.
alter table knowledge_index add unique (knowledge_base_id, fingerprint);
alter table knowledge_index drop column pipeline, drop column building;
