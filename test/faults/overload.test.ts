import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inBackground } from '../../src/platform/lane.js';
import { type Base, makeBase, makeTenant } from '../service/callers.js';
import { type Answer, type Service, startService } from '../service/harness.js';

let service: Service;

beforeAll(async () => {
  const limits = { UPLOADS_AT_ONCE: '2', QUEUE_MAX_PER_TENANT: '5' };
  service = await startService({ env: { ...limits, DATABASE_POOL_SIZE: '2', CONNECTION_QUEUE_MAX: '3' } });
});
afterAll(() => service.stop());

const ask = () => service.call('GET', '/v1/knowledge-bases', { once: true });
const live = async () => (await service.call('GET', '/health/live')).status;

function expectRefusal({ status, body, headers }: Answer, expected: number, code: string): void {
  expect([status, body.code]).toEqual([expected, code]);
  expect(headers.get('content-type')).toContain('application/problem+json');
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(body.requestId).toBe(headers.get('x-request-id'));
}

/** Something that lasts until it is freed. */
function hold() {
  const end = new EventEmitter();
  return { stuck: once(end, 'freed'), free: () => end.emit('freed') };
}

async function until(good: (answer: Answer) => boolean, call: () => Promise<Answer>): Promise<Answer> {
  for (const end = performance.now() + 30_000; performance.now() < end;) {
    const answer = await call();
    if (good(answer)) return answer;
    await nextTurn();
  }
  throw new Error('it never came to that');
}

describe('a process that has more to do than it can', () => {
  it('127: refuses requests while its event loop is a second late, answers for its life, and recovers alone', async () => {
    expect((await ask()).status).toBe(200);
    const blocking = setInterval(() => {
      for (const end = performance.now() + 1000; performance.now() < end;);
    }, 200);
    const refused = await until(({ status }) => status === 503, ask);
    const alive = await live();
    clearInterval(blocking);
    expectRefusal(refused, 503, 'overloaded');
    expect(alive).toBe(200);
    await until(({ status }) => status === 200, ask);
  });

  it('takes one long computation for a hiccup, not for overload', async () => {
    for (const end = performance.now() + 1500; performance.now() < end;);
    for (let asked = 0; asked < 20; asked++) expect((await ask()).status).toBe(200);
  });

  it('refuses requests when too many wait for a connection, answers for its life, and recovers alone', async () => {
    const { stuck, free } = hold();
    const holders = [1, 2].map(() => service.database().asSystem(() => stuck));
    const waiting = [1, 2, 3].map(ask);
    const refused = await until(({ status }) => status === 503, ask);
    const alive = await live();
    free();
    await Promise.all(holders);
    expectRefusal(refused, 503, 'overloaded');
    expect(alive).toBe(200);
    for (const { status } of await Promise.all(waiting)) expect(status).toBe(200);
    expect((await ask()).status).toBe(200);
  });

  // The embedded engine has one session: there, background work gives way between transactions (test/contract/database).
  it.skipIf(!process.env['DATABASE_URL'])('answers requests while background work holds all of its own', async () => {
    const { stuck, free } = hold();
    const holders = Array.from({ length: 20 }, () => inBackground(() => service.database().asSystem(() => stuck)));
    const { status } = await ask();
    free();
    await Promise.all(holders);
    expect(status).toBe(200);
  });
});

describe('a tenant at its limit', () => {
  it('120: is refused more uploads at the same time, while another tenant uploads as ever; one that ends makes room', async () => {
    const [many, other] = [await tenantBase(), await tenantBase()];
    const sent = Array.from({ length: 4 }, () => beginUpload(many));
    const refused = await firstTwo(sent.map(({ answered }) => answered));
    expect(refused).toEqual([429, 429]);
    expectRefusal(await upload(many, 'One more.'), 429, 'too_many_uploads');
    expect((await upload(other, 'As ever.')).status).toBe(202);
    const ended = await Promise.all(sent.map(({ end }) => end()));
    expect(ended.toSorted()).toEqual([202, 202, 429, 429]);
    await service.settle();
    await until(
      ({ status }) => status === 202,
      () => upload(many, 'One more.'),
    );
  });

  it('120: is refused more documents than may wait, while another tenant uploads as ever; finished ones make room', async () => {
    const [many, other] = [await tenantBase(), await tenantBase()];
    for (const content of ['One.', 'Two.', 'Three.', 'Four.', 'Five.'])
      expect((await upload(many, content)).status).toBe(202);
    expectRefusal(await upload(many, 'Six.'), 429, 'queue_full');
    expect((await upload(other, 'As ever.')).status).toBe(202);
    await service.settle();
    await until(
      ({ status }) => status === 202,
      () => upload(many, 'Six.'),
    );
  });
});

const upload = ({ id, key }: Base, content: string) =>
  service.call('POST', `/v1/knowledge-bases/${id}/documents`, { key, body: { externalId: content, content } });

async function tenantBase(): Promise<Base> {
  return makeBase(service, (await makeTenant(service)).key);
}

/** A multipart upload whose file has begun to arrive, and ends when told to. */
function beginUpload({ id, key }: Base) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'multipart/form-data; boundary=b' };
  const sent = request(new URL(`/v1/knowledge-bases/${id}/documents`, service.url), {
    method: 'POST',
    headers,
    agent: false,
  });
  const answered = new Promise<number>((resolve, reject) => {
    sent.on('error', reject).on('response', (answer) => resolve(answer.resume().statusCode ?? 0));
  });
  sent.write('--b\r\ncontent-disposition: form-data; name="file"; filename="note.txt"\r\n\r\nThe first half, ');
  const end = () => {
    sent.end(`and the second of ${id}.\r\n--b--\r\n`);
    return answered;
  };
  return { answered, end };
}

/** What the first two of them to be answered were answered. */
function firstTwo(answers: Promise<number>[]): Promise<number[]> {
  const first: number[] = [];
  return new Promise((resolve, reject) => {
    for (const answer of answers) answer.then((status) => first.push(status) === 2 && resolve(first), reject);
  });
}
