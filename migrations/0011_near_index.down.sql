revoke select (id, tenant_id, dimensions, embedding_model, near_since), update (near_since) on knowledge_index from lectern_system;
do $$
declare id int;
begin
  for id in select i.id from knowledge_index i where i.near_since is not null loop
    execute format('drop index if exists chunk_vector_%s_near', id);
  end loop;
end $$;
alter table knowledge_index drop column near_since;
