import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outboxChannel } from '../../src/events/outbox.js';
import { type OwnService, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { Proxy } from './proxy.js';
import { until } from './until.js';

const { DATABASE_URL } = process.env;

// The embedded engine has no network to fail and no second client to hold locks: see embedded.test.ts for its own faults.
describe.skipIf(!DATABASE_URL)('a PostgreSQL that fails, with the queue in it', () => {
  let proxy: Proxy;
  let direct: Client;
  let service: OwnService;
  let library: Library;
  let number = 0;

  beforeAll(async () => {
    proxy = await Proxy.before(DATABASE_URL ?? '');
    let database = '';
    service = await startService({
      env: (engines) => {
        database = engines.DATABASE_URL ?? '';
        return { DATABASE_URL: proxy.url(database), REDIS_URL: undefined };
      },
    });
    direct = new Client({ connectionString: database });
    await direct.connect();
    library = await openLibrary(service);
    await service.work();
  });
  afterAll(async () => {
    await direct.end();
    await service.stop();
    await proxy.stop();
  });

  const upload = () => library.upload({ externalId: `d${++number}`, content: `# Rule ${number}\n\nIt holds.` });
  const ready = async (id: string) => (await library.get(id)).status === 'ready';
  const ask = () => library.call('POST', '/search', { body: { query: 'rule' } });
  const terminate = (which: string) =>
    direct.query<{ gone: boolean }>(
      `select pg_terminate_backend(pid) as gone from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and ${which}`,
    );

  it('134: while it restarts requests are answered 503, and then as before; what was accepted becomes ready', async () => {
    const before = (await upload()).body.id;
    await proxy.refuse();
    const during = await Promise.all([ask(), upload(), library.call('GET', '/documents'), ask()]);
    for (const answer of during) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(answer.headers.get('retry-after')).toBe('2');
    }
    expect(await service.call('GET', '/health/live', { key: null })).toMatchObject({ status: 200 });
    expect(await service.call('GET', '/health/ready', { key: null })).toMatchObject({
      status: 503,
      body: { status: 'down', checks: { database: { status: 'down' }, queue: { status: 'down' } } },
    });
    await proxy.accept();
    await until('questions to be answered', async () => (await ask()).status === 200, 10);
    expect(await service.call('GET', '/health/ready', { key: null })).toMatchObject({ status: 200 });
    const after = (await upload()).body.id;
    await until('the worker to go on', () => ready(after), 30);
    await until('what was accepted before', () => ready(before), 30);
  });

  it('134: a shutdown in the midst of requests (57P01 on every connection) gives 503 or the answer, never a 500', async () => {
    const ids: string[] = [];
    const statuses = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const asked = Array.from({ length: 8 }, (_, n) => (n % 2 ? upload() : ask()));
      await terminate('true');
      for (const { status, body } of await Promise.all(asked)) {
        statuses.add(status);
        if (status === 202) ids.push(body.id);
      }
    }
    expect([...statuses].filter((status) => ![200, 202, 503].includes(status))).toEqual([]);
    for (const id of [...ids, (await upload()).body.id]) await until('what was accepted', () => ready(id), 90);
  });

  it('135: without the connections that listen, a job starts all the same', async () => {
    const { rows } = await terminate(`query ilike '%listen%'`);
    expect(rows.length).toBeGreaterThan(0);
    const { body } = await upload();
    await until('a job after the listeners were ended', () => ready(body.id), 30);
  });

  it('135: a connection that breaks as it begins to listen is replaced by one, which the end of the service gives back', async () => {
    const listening = `query ilike 'listen ${outboxChannel}%'`;
    proxy.cutNext(new RegExp(`listen ${outboxChannel}`));
    expect(await terminate(listening)).toMatchObject({ rows: [{ gone: true }] });
    // Longer than either way of noticing the loss waited, when there were two.
    await pause(7000);
    const { rows } = await direct.query(
      `select 1 from pg_stat_activity where datname = current_database() and ${listening}`,
    );
    expect(rows).toHaveLength(1);
  });

  it('135: with connections that listen to a network that swallows everything, a job starts at the next poll', async () => {
    await until('something to listen again', async () => {
      const { rows } = await direct.query(
        `select 1 from pg_stat_activity where datname = current_database() and query ilike 'listen%'`,
      );
      return rows.length > 0;
    });
    expect(proxy.silenceThose(/listen\s+"?\w/i)).toBeGreaterThan(0);
    const { body } = await upload();
    await until('a job behind silent listeners', () => ready(body.id), 30);
  });

  it('136: locks that somebody holds exhaust the pool: 503 within seconds for everyone, and all is well after', async () => {
    await direct.query('begin');
    await direct.query('lock table document in access exclusive mode');
    try {
      const started = performance.now();
      const answers = await Promise.all(Array.from({ length: 30 }, () => library.call('GET', '/documents')));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => 503));
      // 5 s is what the service promises; this machine may be busy with something else.
      expect(performance.now() - started).toBeLessThan(15_000);
      expect((await service.call('GET', '/health/live', { key: null })).status).toBe(200);
    } finally {
      await direct.query('rollback');
    }
    expect((await library.call('GET', '/documents')).status).toBe(200);
    const { body } = await upload();
    await until('an upload after the locks', () => ready(body.id), 30);
  });

  it('136: of two transactions that lock each other out, the one that is ended runs again', async () => {
    const scope = { tenantId: '00000000-0000-0000-0000-000000000000' };
    let runs = 0;
    let both = 0;
    const meet = (first: number, second: number) =>
      service.database().as(scope, async (tx) => {
        runs += 1;
        await tx.run('select pg_advisory_xact_lock($1)', [first]);
        both += 1;
        await until('the other to hold its lock', async () => both >= 2, 10);
        await tx.run('select pg_advisory_xact_lock($1)', [second]);
        return first;
      });
    expect(await Promise.all([meet(1, 2), meet(2, 1)])).toEqual([1, 2]);
    expect(runs).toBe(3);
  });
});

describe('a transaction that the database asks to repeat', () => {
  let service: OwnService;
  beforeAll(async () => void (service = await startService()));
  afterAll(() => service.stop());

  it('136: is repeated three times, and then the error is told', async () => {
    let runs = 0;
    const scope = { tenantId: '00000000-0000-0000-0000-000000000000' };
    const failing = service.database().as(scope, (tx) => {
      runs += 1;
      return tx.run(`do $$ begin raise exception 'met another' using errcode = '40001'; end $$`);
    });
    await expect(failing).rejects.toMatchObject({ code: '40001' });
    expect(runs).toBe(4);
  });
});
