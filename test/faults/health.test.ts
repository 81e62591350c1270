import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { standBefore, startS3 } from '../contract/s3-server.js';
import { type Service, startService } from '../service/harness.js';
import { Proxy } from './proxy.js';
import { until } from './until.js';

const { DATABASE_URL, REDIS_URL } = process.env;
// Five times what each part is given, so that a busy machine is not taken for a wait without end.
const boundMs = 10_000;

let server: Awaited<ReturnType<typeof startS3>>;
let store: Awaited<ReturnType<typeof standBefore>>;
let database: Proxy | undefined;
let redis: Proxy | undefined;
let service: Service;

beforeAll(async () => {
  server = await startS3();
  store = await standBefore(server.env);
  database = DATABASE_URL ? await Proxy.before(DATABASE_URL) : undefined;
  redis = REDIS_URL ? await Proxy.before(REDIS_URL) : undefined;
  service = await startService({
    env: (engines) => ({
      ...store.env,
      ...(database ? { DATABASE_URL: database.url(engines.DATABASE_URL ?? '') } : {}),
      ...(redis ? { REDIS_URL: redis.url(engines.REDIS_URL ?? '') } : {}),
    }),
  });
});
afterEach(async () => {
  store.gate.mood = 'passes';
  database?.restore();
  redis?.restore();
  await until('all of it to be well again', async () => (await ready()).body.status === 'ok', 30);
});
afterAll(async () => {
  await service.stop();
  await store.close();
  await server.stop();
  await database?.stop();
  await redis?.stop();
});

async function ready() {
  const started = performance.now();
  const { status, body } = await service.call('GET', '/health/ready', { key: null });
  return { status, body, ms: performance.now() - started };
}

describe('/health/ready, while a part takes every connection and never answers', () => {
  it('names the files, in time', async () => {
    store.gate.mood = 'hangs';
    const { status, body, ms } = await ready();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'degraded',
      checks: { database: { status: 'ok' }, blobs: { status: 'down' } },
    });
    expect(ms).toBeLessThan(boundMs);
  });

  it.skipIf(!REDIS_URL)('names the queue, in time', async () => {
    redis?.silence();
    const { status, body, ms } = await ready();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'degraded',
      checks: { database: { status: 'ok' }, queue: { status: 'down' } },
    });
    expect(ms).toBeLessThan(boundMs);
  });

  it.skipIf(!DATABASE_URL)('names the database, in time, and says that nothing can be answered', async () => {
    database?.silence();
    const { status, body, ms } = await ready();
    expect(status).toBe(503);
    expect(body).toMatchObject({ status: 'down', checks: { database: { status: 'down' }, blobs: { status: 'ok' } } });
    expect(ms).toBeLessThan(boundMs);
  });

  it.skipIf(!DATABASE_URL || !REDIS_URL)('names all of them in the time of one', async () => {
    store.gate.mood = 'hangs';
    redis?.silence();
    database?.silence();
    const { status, body, ms } = await ready();
    expect(status).toBe(503);
    for (const part of ['database', 'queue', 'blobs']) expect(body.checks[part].status).toBe('down');
    expect(ms).toBeLessThan(boundMs);
  });
});
