-- What has to be found in a base before a new version of it answers, and by how much less may be found.
create table golden_question (
  id uuid primary key,
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  query text not null,
  expected jsonb not null, -- any of these: [{documentId | externalId | passage}, …]
  principal jsonb, -- with whose eyes: {subject?, groups}; null: whoever may read everything
  created_at timestamptz not null default now(),
  foreign key (tenant_id, knowledge_base_id) references knowledge_base (tenant_id, id) on delete cascade
);
create index golden_question_base on golden_question (knowledge_base_id, id desc);
alter table golden_question enable row level security;
alter table golden_question force row level security;
create policy tenant_wall on golden_question to lectern_app
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy chores on golden_question to lectern_system using (true) with check (true);
grant select, insert, update, delete on golden_question to lectern_app;

alter table knowledge_base add column gate jsonb not null default '{}';
-- What the gate found: of a version that was judged before it was activated, or taken back after.
alter table version add column report jsonb;
create index version_building on version (created_at) where status = 'building';

alter table sync drop constraint sync_status_check;
alter table sync add constraint sync_status_check
  check (status in ('open', 'committing', 'completed', 'blocked', 'aborted', 'expired'));

grant select (tenant_id, knowledge_base_id, number, status) on version to lectern_system;
grant select (id, tenant_id, active_version, gate, deleted_at) on knowledge_base to lectern_system;

-- Of an answer to a question that was asked of one base: what it was made from, and what came of it.
alter table message add column knowledge_base_id uuid;
alter table message add column version int;
alter table message add column outcome text;
alter table message add column rating text check (rating in ('positive', 'negative'));
alter table message add column comment text;
create index message_version on message (knowledge_base_id, version) where knowledge_base_id is not null;
