alter table chunk_vector drop column revision_id;
do $$
declare name text;
begin
  for name in
    select c.relname from pg_policy p join pg_class c on c.oid = p.polrelid
    where p.polname = 'tenant_wall' and c.relnamespace = 'public'::regnamespace
  loop
    execute format(
      'alter policy tenant_wall on %I
         using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
         with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
  end loop;
end $$;
