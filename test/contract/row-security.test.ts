import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTenantWall } from '../../src/access/wall.js';
import { made, makeBase, makeDocument, makeTenant, type Tenant } from '../service/callers.js';
import { type Service, startService } from '../service/harness.js';

let service: Service;
let own: Tenant;
let other: Tenant;

beforeAll(async () => {
  service = await startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  [own, other] = [await makeTenant(service), await makeTenant(service)];
  for (const { key } of [own, other]) await fill(key);
});

afterAll(() => service.stop());

/** Rows for every table that a tenant can have some in without a failure. */
async function fill(key: string): Promise<void> {
  const create = async (path: string, body?: object) => made(await service.call('POST', path, { key, body }));
  const base = await makeBase(service, key);
  await makeDocument(service, base, { access: { visibility: 'restricted', allow: ['group:hr'] } });
  const endpoint = await create('/v1/webhook-endpoints', { url: 'http://127.0.0.1:9/', events: ['*'] });
  await create(`/v1/webhook-endpoints/${endpoint.id}/test`);
  await create('/v1/cms-sources', { knowledgeBaseId: base.id });
  await create('/v1/chat', { knowledgeBases: [base.id], message: 'How many days of annual leave?' });
}

const tables = ({ database }: Service) =>
  database().asOwner((tx) =>
    tx.rows<{ name: string; partition: boolean }>(
      `select c.relname as name, c.relispartition as partition from pg_class c
       join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1`,
    ),
  );

const count = async (tenantId: string, table: string, whose: string) => {
  const sql = `select count(*) filter (where tenant_id::text = $1) as of, count(*) as all from ${table}`;
  const row = await service.database().as({ tenantId }, (tx) => tx.row<{ of: string; all: string }>(sql, [whose]));
  return { of: Number(row?.of), all: Number(row?.all) };
};

describe('row-level security', () => {
  it('shows a tenant its own rows and nobody else’s, and nobody no row, in every table that has a tenant', async () => {
    const filled: string[] = [];
    for (const { name, partition } of await tables(service)) {
      if (partition) continue; // Not readable by its own name: the next test.
      const mine = await count(other.uuid, name, other.uuid);
      expect(mine.all, name).toBe(mine.of);
      expect(await count(own.uuid, name, other.uuid), name).toMatchObject({ of: 0 });
      expect(await count('', name, other.uuid), name).toEqual({ of: 0, all: 0 });
      if (mine.of > 0) filled.push(name);
    }
    const known = [
      'api_key',
      'event',
      'knowledge_base',
      'version',
      'document',
      'revision',
      'parse',
      'chunk',
      'chunk_vector',
    ];
    expect(filled).toEqual(
      expect.arrayContaining([
        ...known,
        'document_grant',
        'webhook_endpoint',
        'webhook_delivery',
        'cms_source',
        'message',
      ]),
    );
  });

  it('keeps a partition from being read by its own name', async () => {
    const partitions = (await tables(service)).filter(({ partition }) => partition);
    expect(partitions.length).toBeGreaterThanOrEqual(4);
    for (const { name } of partitions) {
      await expect(count(own.uuid, name, other.uuid), name).rejects.toThrow('permission denied');
    }
  });

  it('refuses a row written for the other tenant', async () => {
    const sql = `insert into api_key (id, tenant_id, name, key_hash, scopes) values (gen_random_uuid(), $1, 'planted', '\\x00', '{}')`;
    const planted = service.database().as({ tenantId: own.uuid }, (tx) => tx.run(sql, [other.uuid]));
    await expect(planted).rejects.toThrow('row-level security');
  });

  it('lets a statement across tenants read only what the service’s chores need, and leaves nothing behind when it fails', async () => {
    const database = service.database();
    expect(await database.onceAsSystem('select current_user as role')).toEqual([{ role: 'lectern_system' }]);
    const written = ["it's $2; drop table chunk --", '\\', Buffer.from("\0'")];
    expect(await database.onceAsSystem('select $1::text as one, $2::text as other, $3 as bytes', written)).toEqual([
      { one: written[0], other: written[1], bytes: written[2] },
    ]);
    await expect(database.onceAsSystem('select $1::text')).rejects.toThrow('more places than parameters');
    await expect(database.onceAsSystem('select text from chunk')).rejects.toMatchObject({ code: '42501' });
    const held = `select state from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`;
    expect(await database.asOwner((tx) => tx.rows(held))).toEqual([]);
    expect(await count(own.uuid, 'document', own.uuid)).toEqual({ of: 1, all: 1 });
  });

  describe('in a database where somebody broke it', () => {
    let broken: Service;
    beforeAll(async () => {
      broken = await startService();
      await makeDocument(broken, await makeBase(broken, broken.key));
    });
    afterAll(() => broken.stop());

    const run = (sql: string) => broken.database().asOwner((tx) => tx.run(sql));
    const ownRows = `(tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))`;
    const restore = (table: string) =>
      `create policy tenant_wall on ${table} to lectern_app using ${ownRows} with check ${ownRows}`;

    /** What the check of the wall says after some harm, which is mended again. */
    async function refusal(harm: string, mend: string): Promise<string> {
      await run(harm);
      const said = await checkTenantWall(broken.database()).then(
        () => 'nothing',
        (error: Error) => error.message,
      );
      await run(mend);
      return said;
    }

    it('lets one tenant see another’s rows once a table has none: so the tests above measure something', async () => {
      const stranger = { tenantId: crypto.randomUUID() };
      const seen = () => broken.database().as(stranger, (tx) => tx.rows('select 1 from document'));
      expect(await seen()).toHaveLength(0);
      await run('alter table document disable row level security');
      expect(await seen()).toHaveLength(1);
      await run('alter table document enable row level security');
      expect(await seen()).toHaveLength(0);
    });

    it('95: does not start, whichever table lacks it, does not force it or lost its policy', async () => {
      await expect(checkTenantWall(broken.database())).resolves.toBeUndefined();
      for (const { name, partition } of await tables(broken)) {
        const flaw = `table ${name} does not force row-level security`;
        const table = `alter table ${name}`;
        const [off, on] = ['disable row level security', 'enable row level security'];
        expect(await refusal(`${table} ${off}`, `${table} ${on}`)).toContain(flaw);
        expect(await refusal(`${table} no force row level security`, `${table} force row level security`)).toContain(
          flaw,
        );
        if (partition) continue; // Has no policy: nobody may read it by its own name.
        expect(await refusal(`drop policy tenant_wall on ${name}`, restore(name))).toContain(
          `table ${name} has no policy`,
        );
      }
      await expect(checkTenantWall(broken.database())).resolves.toBeUndefined();
    });

    it.each(['lectern_app', 'lectern_system'])('95: does not start when %s could pass by it', async (role) => {
      for (const power of ['superuser', 'bypassrls']) {
        let said = 'nothing';
        // Roles belong to the whole server, and other tests use them: nobody else ever sees what is rolled back.
        const tried = broken.database().asOwner(async (tx) => {
          await tx.run(`alter role ${role} ${power}`);
          const within = {
            asOwner: <T>(deed: (inside: typeof tx) => Promise<T>) => deed(tx),
            as: () => Promise.reject(new Error('no flaw was found')),
          };
          await checkTenantWall(within).catch(({ message }: Error) => (said = message));
          throw new Error('rolled back');
        });
        await expect(tried).rejects.toThrow('rolled back');
        expect(said, power).toContain(`role ${role} can bypass row-level security`);
      }
    });

    it('does not start when a policy lets more in than the wall', async () => {
      const close = 'drop policy open on document';
      for (const harm of [
        'create policy open on document to lectern_app using (true)',
        'create policy open on document using (true)',
      ]) {
        expect(await refusal(harm, close)).toContain('policy open of table document opens a way around the wall');
      }
      const policy = 'alter policy tenant_wall on document using';
      expect(await refusal(`${policy} (true)`, `${policy} ${ownRows}`)).toContain('around the wall');
    });

    it('does not start when the role of the application owns a table', async () => {
      const owner = 'alter table document owner to';
      const said = await refusal(`${owner} lectern_app`, `${owner} current_user`);
      expect(said).toContain('role lectern_app owns table document');
      await expect(checkTenantWall(broken.database())).resolves.toBeUndefined();
    });
  });
});
