-- What is kept and for how long: receipts of what was deleted, versions that are no longer kept, and what frees their rows.

-- One line a deleted document. It stays when everything else of the document is gone, and holds none of its words.
create table deletion (
  document_id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  knowledge_base_id uuid not null,
  external_id text,
  cause text not null check (cause in ('request', 'cms', 'sync', 'base', 'check')),
  deleted_by text, -- the caller; null: the service itself
  requested_at timestamptz not null default now(),
  completed_at timestamptz,
  pending text[] not null default '{rows,postings,answers}', -- the parts that are still to be cleared away
  segments int[] not null default '{}', -- where its postings stand until a merge
  removed jsonb not null default '{}',
  check ((completed_at is null) = (pending <> '{}'))
);
create index deletion_base on deletion (knowledge_base_id, document_id desc);
create index deletion_pending on deletion (requested_at) where completed_at is null;

-- The documents that an answer speaks of, so that it is found when one of them is deleted.
create table message_document (
  tenant_id uuid not null,
  message_id uuid not null references message on delete cascade,
  document_id uuid not null,
  primary key (message_id, document_id)
);
create index message_document_document on message_document (document_id);

insert into message_document (tenant_id, message_id, document_id)
select distinct m.tenant_id, m.id, d.id::uuid
from message m cross join lateral jsonb_array_elements_text(m.answer->'documentIds') d(id)
where jsonb_typeof(m.answer->'documentIds') = 'array';

do $$
declare name text;
begin
  foreach name in array array['deletion', 'message_document'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy tenant_wall on %I to lectern_app
         using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
         with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))', name);
    execute format('create policy chores on %I to lectern_system using (true) with check (true)', name);
    execute format('grant select, insert, update, delete on %I to lectern_app', name);
  end loop;
end $$;
grant select (document_id, tenant_id, knowledge_base_id, pending, requested_at, completed_at) on deletion to lectern_system;

-- Documents that wait to be cleared away already.
insert into deletion (document_id, tenant_id, knowledge_base_id, external_id, cause, requested_at)
select id, tenant_id, knowledge_base_id, external_id, 'request', deleted_at from document
where deleted_at is not null and purged_at is null;

create index document_unpurged on document (id) where deleted_at is not null and purged_at is null;

-- What a stored reply is about: when that is deleted, the reply goes with it.
alter table idempotency_key add column subject text;
create index idempotency_key_subject on idempotency_key (tenant_id, subject) where subject is not null;

-- What a CMS sent of an article goes with the article.
alter table cms_event add column article_id text, add column event_id uuid; -- the event that told of it
create index cms_event_article on cms_event (source_id, article_id) where article_id is not null;

-- Who deleted a base; its documents are cleared away after it, a few at a time.
alter table knowledge_base add column deleted_by text;
grant select (id, tenant_id, deleted_at, last_version) on knowledge_base to lectern_system;
grant select (knowledge_base_id) on document to lectern_system;

-- Since when the rows that only a retired version showed are gone, and what it changed is forgotten.
alter table version add column freed_at timestamptz;
alter table version add column pruned_at timestamptz;
create index version_kept on version (knowledge_base_id, number) where status <> 'retired';
create index version_unfreed on version (knowledge_base_id, number) where status = 'retired' and freed_at is null;
create index version_unpruned on version (knowledge_base_id, number) where status = 'retired' and pruned_at is null;
grant select (tenant_id, knowledge_base_id, number, parent, status, created_at, freed_at, pruned_at) on version to lectern_system;

-- Since when the chunks of a revision are gone that is kept for what is said of its document.
alter table revision add column freed_at timestamptz;
create index revision_unanswered on revision (knowledge_base_id, id)
  where status in ('superseded', 'failed') and (ready_at is null or freed_at is not null);
grant select (number, sync_id, ready_at, freed_at) on revision to lectern_system;

-- When a chore was last begun that is done once in a while, by whichever process comes first.
create table chore (
  name text primary key,
  begun_at timestamptz not null default now()
);
grant select, insert, update on chore to lectern_system;
