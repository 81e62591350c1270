-- What an index needs of the versions that stand in it is asked of each of them: the last one, and whether any is kept.
create index version_index on version (knowledge_base_id, index_id, number) where index_id is not null;
grant select (index_id) on version to lectern_system;

-- A stored answer may speak of a document that was deleted while the answer was written.
grant select (document_id) on message_document to lectern_system;
