-- What a chunk that goes on with a table cannot be understood without: the table's caption and header. Searched, embedded
-- and shown to the model with the chunk's text, never quoted. Null: nothing; chunks that are there already have none.
alter table chunk add column lead text;
