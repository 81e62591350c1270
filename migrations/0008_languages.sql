-- Words are stemmed by the rules of their document's language. Null: not told, or stored before languages were; read as
-- English, as all were until now, so that nothing that is there has to be indexed again.
alter table revision add column language text;

-- The languages whose rules the postings of an index were made with: what a question's words are looked up as.
alter table knowledge_index add column languages text[] not null default '{en}';
alter table knowledge_index alter column languages set default '{}';
