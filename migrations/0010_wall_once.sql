-- The tenant of a transaction is read once a statement and no longer once a row, which took as long as the distances of a
-- vector search did. And a vector knows its revision: what a version shows and a caller may see are revisions, so that the
-- rows of chunks need not be read to find the nearest ones.
do $$
declare name text;
begin
  for name in
    select c.relname from pg_policy p join pg_class c on c.oid = p.polrelid
    where p.polname = 'tenant_wall' and c.relnamespace = 'public'::regnamespace
  loop
    execute format(
      'alter policy tenant_wall on %I
         using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
         with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))', name);
  end loop;
end $$;

alter table chunk_vector add column revision_id uuid;
do $$
declare id int;
begin
  for id in select distinct index_id from chunk_vector loop
    -- By index, or the planner would go through all of them for each.
    execute format(
      'update chunk_vector v set revision_id = c.revision_id from chunk c where v.index_id = %1$s and c.index_id = %1$s and c.id = v.chunk_id', id);
  end loop;
end $$;
alter table chunk_vector alter column revision_id set not null;
create index chunk_vector_revision on chunk_vector (index_id, revision_id);
