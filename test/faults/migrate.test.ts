import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Scratch, scratchDatabase } from '../service/scratch.js';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));
const migrations = fileURLToPath(new URL('../../migrations/', import.meta.url));

const files = async () => (await readdir(migrations)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();

/** What a schema is made of, a line for each part, the rights of roles among them. */
const parts = `
  select format('%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull) as part
  from pg_attribute join pg_class c on c.oid = attrelid
  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and attnum > 0 and not attisdropped
  union all select format('%s default %s', adrelid::regclass, pg_get_expr(adbin, adrelid))
  from pg_attrdef join pg_class c on c.oid = adrelid where relnamespace = 'public'::regnamespace
  union all select indexdef from pg_indexes where schemaname = 'public'
  union all select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  from pg_constraint where connamespace = 'public'::regnamespace
  union all select format('%s %s %s %s', tablename, policyname, qual, with_check) from pg_policies where schemaname = 'public'
  union all select tgrelid::regclass || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
  union all select format('%s %s %s %s', relname, relacl, relrowsecurity, relforcerowsecurity)
  from pg_class where relnamespace = 'public'::regnamespace
  union all select pg_get_functiondef(p.oid)
  from pg_proc p where pronamespace = 'public'::regnamespace
    and not exists (select from pg_depend where objid = p.oid and deptype = 'e') and prokind <> 'a'
  order by 1`;

it.skipIf(!process.env['DATABASE_URL'])(
  'every migration can be taken back, the last first, and made again',
  async () => {
    const scratch = (await scratchDatabase({ blank: true }))!;
    const database = new Client({ connectionString: scratch.url });
    await database.connect();
    try {
      const schema = async () => (await database.query<{ part: string }>(parts)).rows.map(({ part }) => part);
      const run = async (file: string) => void (await database.query(await readFile(join(migrations, file), 'utf8')));
      const names = await files();
      const before = new Map<string, string[]>();
      for (const name of names) {
        before.set(name, await schema());
        await run(name);
      }
      const whole = await schema();
      expect(whole.length).toBeGreaterThan(500);
      for (const name of names.toReversed()) {
        await run(name.replace(/sql$/, 'down.sql'));
        expect(await schema(), `after ${name} was taken back`).toEqual(before.get(name));
      }
      for (const name of names) await run(name);
      expect(await schema()).toEqual(whole);
    } finally {
      await database.end();
      await scratch.drop();
    }
  },
);

// The embedded database has one owner: there is nobody to start at the same time.
describe.skipIf(!process.env['DATABASE_URL'])('five processes that start at once', () => {
  let scratch: Scratch;
  let database: Client;
  let dataDir: string;
  let processes: ChildProcess[];

  beforeEach(async () => {
    scratch = (await scratchDatabase({ blank: true }))!;
    database = new Client({ connectionString: scratch.url });
    await database.connect();
    dataDir = await mkdtemp(join(tmpdir(), 'lectern-migrate-'));
    processes = [];
  });
  afterEach(async () => {
    await Promise.all(
      processes.map(async (child) => {
        if (child.exitCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
    await database.end();
    await scratch.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** The queue is in the database too, so that its tables are made at the same time. @returns how many said they are up */
  async function startFive(): Promise<number> {
    const env = {
      PATH: process.env['PATH'],
      DATABASE_URL: scratch.url,
      DATA_DIR: dataDir,
      PORT: '0',
      HOST: '127.0.0.1',
    };
    const up = ['api', 'api', 'worker', 'worker', 'worker'].map(
      (role) =>
        new Promise<number>((resolve, reject) => {
          const child = spawn(process.execPath, [main], {
            env: { ...env, ROLE: role },
            stdio: ['ignore', 'pipe', 'pipe'],
          });
          processes.push(child);
          let said = '';
          for (const stream of [child.stdout, child.stderr])
            stream.on('data', (part: Buffer) => {
              said += part.toString();
              if (/"msg":"(listening|working)"/.test(said)) resolve(1);
            });
          child.once('exit', (code) => reject(new Error(`a ${role} ended with ${code}: ${said}`)));
        }),
    );
    return (await Promise.all(up)).length;
  }

  const one = async <T>(sql: string) => (await database.query<{ one: T }>(sql)).rows.map((row) => row.one);

  it('make one schema of an empty database, one first tenant with one key, and the queue’s own tables', async () => {
    expect(await startFive()).toBe(5);
    expect(await one('select name as one from schema_migration order by name')).toEqual(await files());
    expect(await one(`select to_regclass('bullmq.job') is not null as one`)).toEqual([true]);
    expect(await one('select name as one from tenant')).toEqual(['default']);
    expect(await one('select count(*)::int as one from api_key')).toEqual([1]);
  });

  it('bring an older schema with rows in it up to date, and keep the rows', async () => {
    const [oldest = ''] = await files();
    await database.query(await readFile(join(migrations, oldest), 'utf8'));
    await database.query(
      'create table schema_migration (name text primary key, applied_at timestamptz not null default now())',
    );
    await database.query('insert into schema_migration (name) values ($1)', [oldest]);
    const tenant = '00000000-0000-7000-8000-000000000001';
    await database.query(`insert into tenant (id, name) values ($1, 'from before')`, [tenant]);
    await database.query(
      `insert into event (id, tenant_id, type, data, dispatched_at) select gen_random_uuid(), $1, 'document.ready', '{}', now() from generate_series(1, 50)`,
      [tenant],
    );
    expect(await startFive()).toBe(5);
    expect(await one('select name as one from schema_migration order by name')).toEqual(await files());
    expect(await one('select name as one from tenant')).toEqual(['from before']);
    expect(await one('select count(*)::int as one from event')).toEqual([50]);
  });
});
