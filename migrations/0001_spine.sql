-- Everything the main path needs. Every table but `tenant` carries tenant_id, and every table that carries tenant_id
-- forces row-level security (the last block; start-up refuses to run if one does not).

create extension if not exists vector;

-- Roles belong to the cluster, not to the database: another database's migration may have made them, even just now.
do $$
begin
  create role lectern_app nosuperuser nobypassrls noinherit nologin;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  create role lectern_system nosuperuser nobypassrls noinherit nologin;
exception when duplicate_object or unique_violation then null;
end $$;
grant lectern_app, lectern_system to current_user;
grant usage on schema public to lectern_app, lectern_system;

-- access ------------------------------------------------------------------------------------------------------------
create table tenant (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 200),
  created_at timestamptz not null default now()
);

create table api_key (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  name text not null check (length(name) between 1 and 200),
  key_hash bytea not null unique,
  previous_key_hash bytea unique,
  previous_expires_at timestamptz,
  scopes text[] not null,
  subject text,
  groups text[] not null default '{}',
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now()
);
create index api_key_tenant on api_key (tenant_id, id);

create table idempotency_key (
  tenant_id uuid not null references tenant on delete cascade,
  caller text not null,
  route text not null,
  key text not null,
  fingerprint bytea not null,
  status int,
  body bytea,
  created_at timestamptz not null default now(),
  primary key (tenant_id, caller, route, key)
);
create index idempotency_key_age on idempotency_key (created_at);

-- events ------------------------------------------------------------------------------------------------------------
create table event (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  type text not null,
  subject_id uuid,
  sequence bigint,
  data jsonb not null,
  request_id text,
  created_at timestamptz not null default now(),
  claimed_until timestamptz,
  dispatched_at timestamptz
);
create index event_pending on event (created_at) where dispatched_at is null;
create index event_tenant on event (tenant_id, id desc);

create table event_sequence (
  tenant_id uuid not null references tenant on delete cascade,
  subject_id uuid not null,
  last bigint not null,
  primary key (tenant_id, subject_id)
);

-- knowledge ---------------------------------------------------------------------------------------------------------
create table knowledge_base (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  name text not null check (length(name) between 1 and 200),
  pipeline jsonb not null,
  active_version int not null default 0,
  last_version int not null default 0,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  unique (tenant_id, id)
);
create unique index knowledge_base_name on knowledge_base (tenant_id, name) where deleted_at is null;

create table knowledge_index (
  id int generated always as identity primary key,
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  fingerprint text not null,
  embedding_model text not null,
  dimensions int not null check (dimensions between 1 and 16000),
  created_at timestamptz not null default now(),
  unique (tenant_id, id),
  unique (knowledge_base_id, fingerprint),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);

create table version (
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  number int not null check (number >= 0),
  parent int,
  index_id int, -- null: version 0, before anything was indexed
  cause jsonb not null,
  status text not null check (status in ('building', 'ready', 'active', 'blocked', 'retired')),
  stats jsonb not null,
  receipt jsonb not null default '{}',
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  primary key (knowledge_base_id, number),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade,
  foreign key (tenant_id, index_id) references knowledge_index (tenant_id, id)
);

create table document (
  id uuid primary key,
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  external_id text check (length(external_id) between 1 and 500),
  title text not null,
  title_given boolean not null,
  title_terms sparsevec(1000000000) not null,
  source_url text,
  source_updated_at timestamptz,
  metadata jsonb not null default '{}',
  visibility text not null check (visibility in ('tenant', 'restricted')),
  last_revision int not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  purged_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);
create unique index document_external on document (knowledge_base_id, external_id) where deleted_at is null;
create index document_tombstone on document (knowledge_base_id, external_id, source_updated_at) where deleted_at is not null;
create index document_base on document (knowledge_base_id, id desc) where deleted_at is null;

-- Who may see a restricted document, and who may not see any. Read live by every query; never copied into chunks.
create table document_grant (
  tenant_id uuid not null,
  document_id uuid not null,
  principal text not null check (length(principal) between 3 and 300),
  effect text not null check (effect in ('allow', 'deny')),
  primary key (document_id, principal, effect),
  foreign key (tenant_id, document_id) references document (tenant_id, id) on delete cascade
);
create index document_grant_principal on document_grant (principal, document_id);

create table revision (
  id uuid primary key,
  tenant_id uuid not null,
  document_id uuid not null,
  knowledge_base_id uuid not null,
  number int not null,
  content_hash text not null,
  byte_size bigint not null,
  filename text,
  declared_type text,
  content_type text,
  status text not null check (status in ('queued', 'parsing', 'chunking', 'embedding', 'staged', 'ready', 'failed', 'superseded')),
  done int not null default 0,
  total int not null default 0,
  error_code text,
  error_message text,
  error_retryable boolean,
  lease_token uuid,
  lease_expires_at timestamptz,
  leases int not null default 0,
  tries int not null default 0,
  receipt jsonb,
  -- what came with it and is said of the document once it answers: a failed update changes nothing that is served
  details jsonb not null default '{}',
  request_id text,
  created_at timestamptz not null default now(),
  ready_at timestamptz,
  unique (tenant_id, id),
  unique (document_id, number),
  check ((status = 'failed') = (error_code is not null)),
  foreign key (tenant_id, document_id) references document (tenant_id, id) on delete cascade
);
create index revision_unfinished on revision (lease_expires_at) where status in ('queued', 'parsing', 'chunking', 'embedding');
create index revision_content on revision (tenant_id, content_hash);

-- The stored text of a revision: what every offset of a chunk or citation points into.
create table parse (
  revision_id uuid primary key,
  tenant_id uuid not null,
  text text not null,
  blocks jsonb not null,
  pages jsonb not null,
  created_at timestamptz not null default now(),
  foreign key (tenant_id, revision_id) references revision (tenant_id, id) on delete cascade
);

-- What the next version of a base will change: one line a document, the latest wish wins.
create table pending_change (
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  document_id uuid not null,
  kind text not null check (kind in ('publish', 'unpublish')),
  revision_id uuid,
  created_at timestamptz not null default now(),
  primary key (knowledge_base_id, document_id),
  check ((kind = 'publish') = (revision_id is not null)),
  foreign key (tenant_id, document_id) references document (tenant_id, id) on delete cascade
);

-- Text, place and visibility. No index may cover `visible`: publishing updates it in place (HOT), which needs free room
-- on the page. A row is visible in the versions its multirange holds; staged rows in none.
create table chunk (
  index_id int not null,
  id uuid not null,
  tenant_id uuid not null,
  document_id uuid not null,
  revision_id uuid not null,
  ordinal int not null,
  section text[] not null,
  page int,
  start_offset int not null,
  end_offset int not null check (end_offset > start_offset),
  text text not null,
  text_hash bytea not null,
  tokens int not null,
  terms sparsevec(1000000000) not null,
  visible int4multirange not null default '{}',
  primary key (index_id, id),
  unique (index_id, revision_id, ordinal)
) partition by list (index_id);
create index chunk_document on chunk (index_id, document_id);
create index chunk_text_hash on chunk (index_id, text_hash);

-- Narrow on purpose: a vector beside the text would be moved out of line, and an exact scan then costs four times more.
create table chunk_vector (
  index_id int not null,
  chunk_id uuid not null,
  tenant_id uuid not null,
  embedding vector not null,
  primary key (index_id, chunk_id)
) partition by list (index_id);

-- chat --------------------------------------------------------------------------------------------------------------
create table conversation (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  owner text not null,
  created_at timestamptz not null default now(),
  unique (tenant_id, id)
);

create table message (
  id uuid primary key,
  tenant_id uuid not null,
  conversation_id uuid not null,
  role text not null check (role in ('user', 'assistant')),
  content text not null,
  answer jsonb,
  created_at timestamptz not null default now(),
  foreign key (tenant_id, conversation_id) references conversation (tenant_id, id) on delete cascade
);
create index message_conversation on message (conversation_id, id);

-- webhooks ----------------------------------------------------------------------------------------------------------
create table webhook_endpoint (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  url text not null,
  events text[] not null,
  secret bytea not null,
  previous_secret bytea,
  previous_expires_at timestamptz,
  failing_since timestamptz,
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  unique (tenant_id, id)
);
create index webhook_endpoint_tenant on webhook_endpoint (tenant_id, id desc) where deleted_at is null;

create table webhook_delivery (
  id uuid primary key,
  tenant_id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_type text not null,
  body text not null,
  status text not null check (status in ('pending', 'delivered', 'failed')),
  attempts int not null default 0,
  next_attempt_at timestamptz,
  claimed_until timestamptz,
  last_status int,
  last_error text,
  last_response text,
  created_at timestamptz not null default now(),
  delivered_at timestamptz,
  unique (endpoint_id, event_id),
  foreign key (tenant_id, endpoint_id) references webhook_endpoint (tenant_id, id) on delete cascade
);
create index webhook_delivery_due on webhook_delivery (next_attempt_at) where status = 'pending';
create index webhook_delivery_claimed on webhook_delivery (endpoint_id) where claimed_until is not null;
create index webhook_delivery_tenant on webhook_delivery (tenant_id, id desc);

create table cms_source (
  id uuid primary key,
  tenant_id uuid not null references tenant on delete cascade,
  knowledge_base_id uuid not null,
  kind text not null check (kind in ('generic')),
  secret bytea not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);

create table cms_event (
  id uuid primary key,
  tenant_id uuid not null,
  source_id uuid not null,
  delivery_id text not null,
  body bytea not null,
  status text not null default 'received' check (status in ('received', 'applied', 'ignored', 'failed')),
  error_code text,
  error_message text,
  received_at timestamptz not null default now(),
  handled_at timestamptz,
  unique (source_id, delivery_id),
  foreign key (tenant_id, source_id) references cms_source (tenant_id, id) on delete cascade
);
create index cms_event_unhandled on cms_event (received_at) where status = 'received';

-- The wall between tenants ------------------------------------------------------------------------------------------
do $$
declare name text;
begin
  for name in
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  loop
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

grant select on tenant to lectern_app;

-- The chores that cross tenants, column by column: no text and no secret of a tenant is among them, but for the keyed
-- hashes by which a caller is found, the sealed secret by which an inbound hook is verified, and the titles of articles
-- in events that are on their way.
grant select, insert on tenant to lectern_system;
grant select (id, tenant_id, key_hash, previous_key_hash, previous_expires_at, scopes, subject, groups, expires_at, revoked_at)
  on api_key to lectern_system;
grant insert on api_key to lectern_system;
grant select on event to lectern_system;
grant update (claimed_until, dispatched_at) on event to lectern_system;
grant select (id, tenant_id, document_id, knowledge_base_id, status, lease_expires_at) on revision to lectern_system;
grant select (tenant_id, knowledge_base_id, document_id) on pending_change to lectern_system;
grant select (id, tenant_id, deleted_at, purged_at) on document to lectern_system;
grant select (id, tenant_id, status, attempts, next_attempt_at, claimed_until) on webhook_delivery to lectern_system;
grant select (id, tenant_id, secret, deleted_at) on cms_source to lectern_system;
grant select (id, tenant_id, status, received_at) on cms_event to lectern_system;
grant select (status, created_at), delete on idempotency_key to lectern_system;
