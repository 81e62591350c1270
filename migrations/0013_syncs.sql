-- A sync gathers any number of uploads and becomes one version, or nothing at all.
create table sync (
  id uuid primary key,
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  status text not null check (status in ('open', 'committing', 'completed', 'aborted', 'expired')),
  delete_missing boolean not null default false,
  committed_by jsonb, -- who: what is missing is told among the documents that they may see
  version int, -- what its commit made; null: nothing yet, or it changed nothing
  outcome jsonb,
  request_id text,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);
create index sync_base on sync (knowledge_base_id, id desc);
create index sync_unfinished on sync (created_at) where status in ('open', 'committing');

-- The documents that a sync named, whether or not their bytes were new.
create table sync_document (
  tenant_id uuid not null,
  sync_id uuid not null,
  document_id uuid not null,
  made boolean not null, -- there was no such document before
  details jsonb not null default '{}', -- said of it with bytes that are served already
  created_at timestamptz not null default now(),
  primary key (sync_id, document_id),
  foreign key (tenant_id, sync_id) references sync (tenant_id, id) on delete cascade,
  foreign key (tenant_id, document_id) references document (tenant_id, id) on delete cascade
);
create index sync_document_document on sync_document (document_id);

-- The sync that holds a revision back until it commits; null: none does.
alter table revision add column sync_id uuid references sync (id) on delete set null;
create index revision_sync on revision (sync_id) where sync_id is not null;

do $$
declare name text;
begin
  foreach name in array array['sync', 'sync_document'] loop
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
grant select (id, tenant_id, knowledge_base_id, status, created_at) on sync to lectern_system;
grant select (sync_id, created_at) on sync_document to lectern_system;
