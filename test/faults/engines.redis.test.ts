import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Handlers } from '../../src/platform/jobs/handlers.js';
import { type OwnService, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { Receiver } from '../service/receiver.js';
import { Proxy } from './proxy.js';
import { toReplica } from './read-only.js';
import { until } from './until.js';

const { DATABASE_URL, REDIS_URL } = process.env;

// A database of Redis that no other test uses, so that it can be emptied.
const own = (url: string) => Object.assign(new URL(url), { pathname: '/13' }).href;

describe.skipIf(!DATABASE_URL || !REDIS_URL)('137: a Redis that fails', () => {
  let proxy: Proxy;
  let redis: Redis;
  let service: OwnService;
  let library: Library;
  let number = 0;
  let isReplica = false;

  beforeAll(async () => {
    proxy = await Proxy.before(REDIS_URL ?? '', () => toReplica(() => isReplica));
    redis = new Redis(own(REDIS_URL ?? ''));
    await redis.flushdb();
    service = await startService({
      env: { REDIS_URL: own(proxy.url(REDIS_URL ?? '')), OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' },
    });
    library = await openLibrary(service);
  });
  afterAll(async () => {
    await service.stop();
    await proxy.stop();
    await redis.flushdb();
    redis.disconnect();
  });

  const upload = () => library.upload({ externalId: `d${++number}`, content: `# Rule ${number}\n\nIt holds.` });
  const uploadSome = async (count: number): Promise<string[]> => {
    const answers = await Promise.all(Array.from({ length: count }, upload));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    return answers.map(({ body }) => body.id);
  };
  const states = async (ids: string[]) =>
    new Set(await Promise.all(ids.map(async (id) => (await library.get(id)).status)));
  const allReady = async (ids: string[]) => [...(await states(ids))].join() === 'ready';
  const oneEventEach = async (ids: string[]) => {
    const { body } = await service.call('GET', '/v1/events?limit=200');
    const told = body.data.filter(({ type }: { type: string }) => type === 'document.ready');
    for (const id of ids)
      expect(told.filter(({ data }: { data: { documentId: string } }) => data.documentId === id)).toHaveLength(1);
  };
  /**
   * What a minute does to revisions that wait for a reminder, but for the time from one sweep to the next: the sweep that
   * comes by then finds the grace of each run out, and announces it.
   */
  const aMinuteLater = () => {
    const sweep = service.part(Handlers).sweeps.find(({ name }) => name === 'IngestionJobs.announceUnfinished');
    const passed = 60 - (sweep?.everyMs ?? Infinity) / 1000;
    return service
      .database()
      .asOwner((tx) =>
        tx.run(
          `update revision set lease_expires_at = lease_expires_at - make_interval(secs => $1) where status = 'queued'`,
          [passed],
        ),
      );
  };

  it('emptied while jobs wait in it: the sweep puts them back in a minute, and each document is ready once', async () => {
    const ids = await uploadSome(5);
    await service.announce();
    expect(await redis.dbsize()).toBeGreaterThan(0);
    await redis.flushdb();
    await service.settle();
    expect(await states(ids)).toEqual(new Set(['queued']));
    await aMinuteLater();
    await service.settle();
    expect(await states(ids)).toEqual(new Set(['ready']));
    await oneEventEach(ids);
  });

  it('out of reach: uploads are taken, a wait for the queue ends soon, and the process says that it is degraded', async () => {
    const receiver = await new Receiver().start();
    const endpoint = await service.call('POST', '/v1/webhook-endpoints', {
      body: { url: receiver.url, events: ['document.*'] },
    });
    await service.work();
    await proxy.refuse();
    const ids = await uploadSome(5);
    expect((await library.search('rule')).results.length).toBeGreaterThan(0);
    expect(await service.call('GET', '/health/ready', { key: null })).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: { database: { status: 'ok' }, queue: { status: 'down' } } },
    });
    const started = performance.now();
    const tested = await service.call('POST', `/v1/webhook-endpoints/${endpoint.body.id}/test`);
    expect(tested).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(performance.now() - started).toBeLessThan(30_000);
    await proxy.accept();
    await until('what was accepted to be ready', () => allReady(ids));
    await oneEventEach(ids);
    // The test event was recorded before the queue was asked: it arrives although its caller was told to come back.
    await until('the test event', async () => receiver.received.some(({ body }) => body.includes('webhook.test')));
    await receiver.stop();
  });

  it('killed and started empty while work is going on: nothing accepted is lost', async () => {
    const uploaded = uploadSome(20);
    await proxy.refuse();
    await redis.flushdb();
    const ids = [...(await uploaded), ...(await uploadSome(5))];
    await proxy.accept();
    await until('the reminders that were not lost', async () => (await states(ids)).has('ready'));
    await aMinuteLater();
    await until('all to be ready', () => allReady(ids));
    expect(await states(ids)).toEqual(new Set(['ready']));
    await oneEventEach(ids);
  });

  it('become a replica (READONLY): uploads are taken, and are worked on once there is one that writes', async () => {
    isReplica = true;
    const ids = await uploadSome(5);
    expect(await states(ids)).toEqual(new Set(['queued']));
    isReplica = false;
    proxy.cut();
    await until('what was accepted to be ready', () => allReady(ids));
    await oneEventEach(ids);
  });

  it('silent: the process says so in time, and goes on when it speaks again', async () => {
    proxy.silence();
    const ids = await uploadSome(3);
    const ready = await service.call('GET', '/health/ready', { key: null });
    expect(ready).toMatchObject({ status: 200, body: { status: 'degraded', checks: { queue: { status: 'down' } } } });
    proxy.restore();
    await until('what was accepted to be ready', () => allReady(ids));
  });
});
