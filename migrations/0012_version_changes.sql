-- What each version changed of its parent, so that publishing after a rollback, comparing two versions and counting one
-- look at what changed and at nothing else.
create table version_change (
  tenant_id uuid not null,
  knowledge_base_id uuid not null,
  number int not null,
  document_id uuid not null,
  before uuid, -- the revision that the parent shows; null: none
  after uuid, -- the revision that this one shows
  primary key (knowledge_base_id, number, document_id),
  check (before is distinct from after),
  foreign key (knowledge_base_id, number) references version (knowledge_base_id, number) on delete cascade,
  foreign key (tenant_id, document_id) references document (tenant_id, id) on delete cascade
);
create index version_change_document on version_change (document_id);

alter table version_change enable row level security;
alter table version_change force row level security;
create policy tenant_wall on version_change to lectern_app
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy chores on version_change to lectern_system using (true) with check (true);
grant select, insert, update, delete on version_change to lectern_app;

-- Of the versions there are, as their chunks tell: all chunks of a revision are shown or none.
insert into version_change (tenant_id, knowledge_base_id, number, document_id, before, after)
select v.tenant_id, v.knowledge_base_id, v.number, c.document_id,
  (array_agg(c.revision_id) filter (where c.visible @> v.parent))[1],
  (array_agg(c.revision_id) filter (where c.visible @> v.number))[1]
from version v join chunk c on c.index_id = v.index_id and c.ordinal = 0
where v.parent is not null and (c.visible @> v.parent) <> (c.visible @> v.number)
group by v.tenant_id, v.knowledge_base_id, v.number, c.document_id;
