-- What a document's metadata says takes part in ranking, as its title does. Null: not read yet; documents that are there
-- already get theirs after the start.
alter table document add column metadata_terms sparsevec(1000000000);
create index document_unread_metadata on document (id) where metadata_terms is null;
grant select (metadata_terms) on document to lectern_system;
