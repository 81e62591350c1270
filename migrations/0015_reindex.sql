-- A base is built anew beside what it serves: a second index, under another pipeline, from the stored texts.

alter table knowledge_index add column pipeline jsonb;
update knowledge_index i set pipeline = b.pipeline from knowledge_base b where b.id = i.knowledge_base_id;
alter table knowledge_index alter column pipeline set not null;
-- No version shows it yet. One that no unfinished reindex builds is thrown away.
alter table knowledge_index add column building boolean not null default false;
-- Built anew under the same pipeline, too: what an old index shows in old versions is not touched for it.
alter table knowledge_index drop constraint knowledge_index_knowledge_base_id_fingerprint_key;
create index knowledge_index_base on knowledge_index (knowledge_base_id);
grant select (knowledge_base_id, building) on knowledge_index to lectern_system;

-- Where uploads go: the index of the active version, or of the last one before a version that has none.
alter table knowledge_base add column index_id int;
-- The index by whose languages titles and metadata were last read.
alter table knowledge_base add column titles_index int;
update knowledge_base b set
  index_id = (select max(i.id) from knowledge_index i where i.knowledge_base_id = b.id),
  titles_index = (select max(i.id) from knowledge_index i where i.knowledge_base_id = b.id);
alter table knowledge_base add foreign key (tenant_id, index_id) references knowledge_index (tenant_id, id);
create index knowledge_base_titles on knowledge_base (id) where index_id is distinct from titles_index;
grant select (id, tenant_id, index_id, titles_index) on knowledge_base to lectern_system;

-- The language that a revision's words were read in: the same text may be read in another one in another index.
alter table segment_revision add column language text;
update segment_revision s set language = r.language from revision r where r.id = s.revision_id;

create index revision_staged on revision (knowledge_base_id) where status = 'staged';

create table reindex (
  id uuid primary key,
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  index_id int, -- null: not begun; afterwards the index may be gone
  pipeline jsonb not null,
  status text not null check (status in ('running', 'paused', 'judging', 'blocked', 'completed', 'failed', 'cancelled')),
  done int not null default 0, -- of the revisions that are shown or wait to be
  total int not null default 0,
  built int not null default 0, -- revisions built in `worked_ms`: what an estimate rests on
  worked_ms bigint not null default 0,
  chunks int not null default 0,
  embedded int not null default 0,
  tokens_embedded bigint not null default 0,
  version int,
  error_code text,
  error_message text,
  lease_token uuid,
  lease_expires_at timestamptz not null default now(),
  tries int not null default 0, -- since the last revision that was built
  request_id text,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  check (status <> 'failed' or error_code is not null),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);
create unique index reindex_unfinished on reindex (knowledge_base_id) where status in ('running', 'paused', 'judging');
create index reindex_base on reindex (knowledge_base_id, id desc);

alter table reindex enable row level security;
alter table reindex force row level security;
create policy tenant_wall on reindex to lectern_app
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy chores on reindex to lectern_system using (true) with check (true);
grant select, insert, update, delete on reindex to lectern_app;
grant select (id, tenant_id, index_id, status, lease_token, lease_expires_at) on reindex to lectern_system;
