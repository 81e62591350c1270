-- The lexical index of the chunks: packed posting lists, scored by the service over what the caller may see. It takes the
-- place of the term vectors; chunks that are there already get their postings from their text after the start.

-- An immutable inverted index over the chunks of one or more revisions, numbered from 0.
create table segment (
  index_id int not null,
  no int generated always as identity,
  tenant_id uuid not null,
  chunks int not null,
  buckets int not null,
  lengths bytea not null,
  primary key (index_id, no),
  foreign key (tenant_id, index_id) references knowledge_index (tenant_id, id) on delete cascade
);
alter table segment alter column lengths set storage external;

-- Which numbers of a segment are a revision's chunks: the one that starts at `base` is its ordinal 0. A revision that was
-- removed leaves a gap, by which the segment is known to hold terms that must go.
create table segment_revision (
  index_id int not null,
  revision_id uuid not null,
  tenant_id uuid not null,
  document_id uuid not null,
  segment_no int not null,
  base int not null,
  chunks int not null,
  primary key (index_id, revision_id),
  foreign key (index_id, segment_no) references segment on delete cascade
);
create index segment_revision_document on segment_revision (index_id, document_id);
create index segment_revision_segment on segment_revision (index_id, segment_no);

create table posting (
  index_id int not null,
  segment_no int not null,
  bucket int not null,
  tenant_id uuid not null,
  data bytea not null,
  primary key (index_id, segment_no, bucket),
  foreign key (index_id, segment_no) references segment on delete cascade
);
alter table posting alter column data set storage external;

alter table chunk drop column terms;

do $$
declare name text;
begin
  foreach name in array array['segment', 'segment_revision', 'posting'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy tenant_wall on %I to lectern_app
         using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
         with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
    execute format('create policy chores on %I to lectern_system using (true) with check (true)', name);
    execute format('grant select, insert, update, delete on %I to lectern_app', name);
  end loop;
end $$;

grant select (index_id, no, tenant_id, chunks) on segment to lectern_system;
grant select (index_id, segment_no, revision_id, chunks) on segment_revision to lectern_system;
grant select (index_id, revision_id, tenant_id, ordinal) on chunk to lectern_system;
