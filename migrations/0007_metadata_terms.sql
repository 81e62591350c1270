-- What a document's metadata says takes part in ranking, as its title does, and words are stemmed by Snowball's own rules.
-- Null: not read yet; documents that are there already are read again after the start, and their postings made anew.
alter table document add column metadata_terms sparsevec(1000000000);
create index document_unread on document (id) where metadata_terms is null;
grant select (metadata_terms) on document to lectern_system;
delete from segment;
