import type { Database } from '../platform/database.js';

interface Flaw {
  what: string;
}

// The migration's policy as PostgreSQL writes it back. A partition needs none: nobody may read it by its own name.
const own = `(tenant_id = ( SELECT (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid AS "nullif"))`;
const isWall = `p.polroles = array['lectern_app'::regrole::oid] and p.polcmd = '*' and p.polpermissive
  and pg_get_expr(p.polqual, p.polrelid) = '${own}' and pg_get_expr(p.polwithcheck, p.polrelid) = '${own}'`;

/**
 * Refuses to run when the wall between tenants is not whole: every table with a tenant_id must force row-level security
 * (partitions included) by its one policy, the app's role must be unable to bypass it or to own those tables, and a transaction of no
 * tenant must see no row. The test suite breaks each in turn.
 * @throws Error naming every flaw
 */
export async function checkTenantWall(database: Pick<Database, 'as' | 'asOwner'>): Promise<void> {
  const flaws = await database.asOwner((tx) =>
    tx.rows<Flaw>(`
      select 'table ' || c.relname || ' does not force row-level security' as what
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
         and not (c.relrowsecurity and c.relforcerowsecurity)
      union all
      select 'table ' || c.relname || ' has no policy that compares tenant_id with app.tenant_id'
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
         and not exists (select from pg_policy p where p.polrelid = c.oid and ${isWall})
      union all
      select 'policy ' || p.polname || ' of table ' || c.relname || ' opens a way around the wall'
        from pg_policy p join pg_class c on c.oid = p.polrelid
       where c.relnamespace = 'public'::regnamespace and p.polpermissive
         and p.polroles <> array['lectern_system'::regrole::oid] and not (${isWall})
      union all
      select 'role ' || rolname || ' can bypass row-level security' from pg_roles
       where rolname in ('lectern_app', 'lectern_system') and (rolsuper or rolbypassrls)
      union all
      select 'role ' || pg_get_userbyid(c.relowner) || ' owns table ' || c.relname from pg_class c
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
         and pg_get_userbyid(c.relowner) in ('lectern_app', 'lectern_system')`),
  );
  if (flaws.length > 0) {
    throw new Error(
      `the wall between tenants has holes, so this process will not start:\n${flaws.map(({ what }) => `  - ${what}`).join('\n')}`,
    );
  }
  const nobody = { tenantId: '00000000-0000-0000-0000-000000000000' };
  const seen = await database.as(nobody, (tx) => tx.row('select 1 from api_key limit 1'));
  if (seen) throw new Error('a transaction of no tenant can see the rows of another: this process will not start');
}
