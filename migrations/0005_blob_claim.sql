-- Who is storing or removing a content right now. Both cross a network, so neither may hold a transaction meanwhile; a
-- claim is what a lock would be, and ends by itself when its process dies. No reference to tenant: bytes outlive it.
create table blob_claim (
  id uuid primary key,
  tenant_id uuid not null,
  content_hash text not null,
  kind text not null check (kind in ('keep', 'remove')),
  expires_at timestamptz not null
);
create index blob_claim_content on blob_claim (tenant_id, content_hash);
create index blob_claim_expired on blob_claim (expires_at);

alter table blob_claim enable row level security;
alter table blob_claim force row level security;
create policy tenant_wall on blob_claim to lectern_app
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy chores on blob_claim to lectern_system using (true) with check (true);
grant select, insert, delete on blob_claim to lectern_app;
grant select (expires_at), delete on blob_claim to lectern_system;
