import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database, type Transaction } from '../../src/platform/database.js';
import { migrate } from '../../src/platform/migrate.js';
import { drawn } from '../faults/until.js';
import { engines, type ScratchDatabase } from './databases.js';

const turns = 500;
// With a parameter, so that it is planned once on a connection, whichever tenant asks.
const asked = 'select tenant_id from conversation where owner = $1';

describe.each(engines)('whose rows a transaction sees, on the $engine database', ({ open }) => {
  let scratch: ScratchDatabase;
  const tenants = [randomUUID(), randomUUID()];

  beforeAll(async () => {
    scratch = await open();
    await migrate(scratch.pool, { withQueueTables: false });
    for (const id of tenants)
      await scratch.pool.query('insert into tenant (id, name) values ($1::uuid, $1::text)', [id]);
  }, 120_000);
  afterAll(() => scratch.close());

  it.each([1, 10])(
    `96: ${turns} interleaved transactions of two tenants over %i connections, with errors and lost connections among them, mix nothing`,
    async (max) => {
      const { extra } = scratch.typeorm;
      const dataSource = await new DataSource({ ...scratch.typeorm, extra: { ...extra, max } }).initialize();
      const database = new Database(dataSource);
      const draw = drawn(96 + max);
      const foreign: unknown[] = [];
      const left: unknown[] = [];
      const failures = new Set<string>();

      async function turn(n: number): Promise<void> {
        const tenantId = tenants[n % 2] ?? '';
        const fate = draw();
        await database.as({ tenantId }, async (tx) => {
          await tx.run(`insert into conversation (id, tenant_id, owner) values ($1, $2, 'ada')`, [
            randomUUID(),
            tenantId,
          ]);
          const rows = await tx.rows<{ tenant_id: string }>(asked, ['ada']);
          foreign.push(...rows.filter((row) => row.tenant_id !== tenantId));
          if (fate < 0.1) throw new Error('in the midst');
          if (fate < 0.2) await tx.run('select 1 / 0');
          if (fate < 0.25) await tx.run('select no_such_function()');
          // Its end in the eyes of the client: the embedded engine has one backend, which nobody ends.
          if (fate < 0.3 && extra.connectionString) await tx.run('select pg_terminate_backend(pg_backend_pid())');
        });
        await read(tenantId, fate);
      }

      async function read(tenantId: string, fate: number): Promise<void> {
        const first = { sql: asked, parameters: ['ada'] };
        await database.snapshotFrom<{ tenant_id: string }, void>({ tenantId }, first, async (tx, rows) => {
          const again = await tx.rows<{ tenant_id: string }>(asked, ['ada']);
          foreign.push(...[...rows, ...again].filter((row) => row.tenant_id !== tenantId));
          if (rows.length === 0 || again.length !== rows.length) foreign.push('not on one snapshot');
          if (fate > 0.95) await tx.run('select 1 / 0');
        });
      }

      /** As the pool hands a connection out: with nothing of whoever had it before. */
      async function lookAt(): Promise<void> {
        const [row] = await dataSource.query(
          `select coalesce(current_setting('app.tenant_id', true), '') as tenant, current_user = session_user as itself`,
        );
        if (row.tenant !== '' || !row.itself) left.push(row);
      }

      const all = Array.from({ length: turns }, async (_, n) => {
        await turn(n).catch((error: Error) => failures.add(error.message.slice(0, 20)));
        await lookAt().catch((error: Error) => failures.add(error.message.slice(0, 20)));
      });
      await Promise.all(all);
      await dataSource.destroy();
      expect(foreign).toEqual([]);
      expect(left).toEqual([]);
      expect(failures.size).toBeGreaterThanOrEqual(3);
    },
  );

  it('one that has ended sends nothing more, which would be past every rule', async () => {
    const dataSource = await new DataSource({ ...scratch.typeorm }).initialize();
    const database = new Database(dataSource);
    const scope = { tenantId: tenants[0] ?? '' };
    const told: string[] = [];
    const forgetful = async (tx: Transaction) =>
      void new Promise(setImmediate).then(() => tx.rows('select 1')).catch(({ message }) => told.push(message));
    await Promise.all([database.as(scope, forgetful), database.snapshot(scope, forgetful)]);
    await expect.poll(() => told).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('after it ended')));
    await dataSource.destroy();
  });

  it('a statement that is asked again and again keeps its plan, unless it reads partitions or on a snapshot', async () => {
    const dataSource = await new DataSource({ ...scratch.typeorm }).initialize();
    const database = new Database(dataSource);
    const scope = { tenantId: tenants[0] ?? '' };
    const plans = 'select generic_plans::int as kept from pg_prepared_statements where statement = $1';
    const kept = await database.as(scope, async (tx) => {
      for (let time = 0; time < 12; time++) await tx.rows(asked, ['ada']);
      return tx.rows<{ kept: number }>(plans, [asked]);
    });
    expect(kept).toEqual([{ kept: expect.any(Number) }]);
    expect(kept[0]?.kept).toBeGreaterThan(0);
    const once = `${asked} order by id`;
    const none = await database.snapshot(scope, async (tx) => {
      for (let time = 0; time < 12; time++) await tx.rows(once, ['ada']);
      return tx.rows(plans, [once]);
    });
    expect(none).toEqual([]);
    const partitioned = 'select id from chunk where index_id = $1';
    const neither = await database.as(scope, async (tx) => {
      for (let time = 0; time < 12; time++) await tx.rows(partitioned, [1]);
      return tx.rows(plans, [partitioned]);
    });
    expect(neither).toEqual([]);
    await dataSource.destroy();
  });

  it('what is asked along with the beginning keeps its plan too, and shows each tenant its own, also where the name is gone or taken', async () => {
    const { extra } = scratch.typeorm;
    const dataSource = await new DataSource({ ...scratch.typeorm, extra: { ...extra, max: 1 } }).initialize();
    const database = new Database(dataSource);
    const along = { sql: 'select tenant_id from conversation where owner = $1 and id = id', parameters: ["b'o"] };
    const foreign: unknown[] = [];
    const ask = async (n: number) => {
      const tenantId = tenants[n % 2] ?? '';
      const rows = await database.snapshotFrom<{ tenant_id: string }, { tenant_id: string }[]>(
        { tenantId },
        along,
        async (_tx, found) => found,
      );
      if (rows.length !== 1 || rows[0]?.tenant_id !== tenantId) foreign.push(rows);
    };
    const sql = 'select count(*)::int as n from api_key where tenant_id = $1';
    const keysOf = async (n: number) => database.onceAsSystem<{ n: number }>(sql, [tenants[n % 2] ?? '']);
    for (const tenantId of tenants)
      await database.as({ tenantId }, (tx) =>
        tx.run('insert into conversation (id, tenant_id, owner) values ($1, $2, $3)', [randomUUID(), tenantId, "b'o"]),
      );
    const twelve = async () => {
      for (let n = 0; n < 12; n++) {
        await ask(n);
        expect(await keysOf(n)).toEqual([{ n: 0 }]);
      }
    };
    await twelve();
    const names = await dataSource.query(
      `select name, generic_plans > 0 as kept from pg_prepared_statements
       where name like '%\\_once\\_%' and (statement like '%id = id%' or statement like '%from api_key where tenant_id = $1%')`,
    );
    expect(names.map(({ kept }: { kept: boolean }) => kept)).toEqual([true, true]);

    await dataSource.query('deallocate all');
    await twelve();
    for (const { name } of names) await dataSource.query(`deallocate ${name}`);
    await dataSource.destroy();

    const other = await new DataSource({ ...scratch.typeorm, extra: { ...extra, max: 1 } }).initialize();
    for (const { name } of names) await other.query(`prepare ${name} as select 4711 as tenant_id`);
    const late = new Database(other);
    expect(await late.onceAsSystem(sql, [tenants[0] ?? ''])).toEqual([{ n: 0 }]);
    await other.query('deallocate all');
    await other.destroy();
    expect(foreign).toEqual([]);
  });
});
