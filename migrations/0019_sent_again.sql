-- When somebody sent what a document holds already while a sync was under way: it made no revision, and is not missing either.
alter table document add column sent_again_at timestamptz;
