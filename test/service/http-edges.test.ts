import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBase, makeTenant, newId } from './callers.js';
import { type Answer, type Service, startService } from './harness.js';

let service: Service;

beforeAll(async () => {
  service = await startService({ env: { UPLOAD_MAX_MB: '1' } });
});
afterAll(() => service.stop());

const bases = '/v1/knowledge-bases';

/**
 * Sends bytes as they are, on a connection of their own: what fetch would never send, or hangs on when its pooled
 * connection is refused and closed in the middle of a large body (seen with Node 20, and with no other client).
 */
function send(body: string | Buffer, { path = bases, type = 'application/json' } = {}): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${service.key}`,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, service.url), { method: 'POST', agent: false, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const received = new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
        resolve({ status: answer.statusCode ?? 0, text, headers: received, body: JSON.parse(text) });
      });
    });
    sent.on('error', reject).end(body);
  });
}

/** Checks that an answer has the form of every error, and tells which error it is. */
function problem({ status, body, headers, text }: Answer): [number, string] {
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const title = String(body.code).replaceAll('_', ' ');
  expect(body).toMatchObject({ type: 'about:blank', title, status, detail: expect.any(String) });
  expect(body.requestId).toBe(headers.get('x-request-id'));
  expect(text).not.toMatch(/\bat \/|node_modules|\bselect\b|\.js\b/i);
  return [status, body.code];
}

describe('an error', () => {
  it('is problem+json that names every bad field, also a field nobody asked for', async () => {
    const body = { name: '', pipeline: { chunking: { targetChars: 1, surprise: true } }, extra: 1 };
    const answer = await service.call('POST', bases, { body });
    expect(problem(answer)).toEqual([400, 'validation_failed']);
    const fields = answer.body.errors.map(({ field }: { field: string }) => field);
    expect(new Set(fields)).toEqual(
      new Set(['name', 'extra', 'pipeline.chunking.targetChars', 'pipeline.chunking.surprise']),
    );
  });

  it('is a 404 in the same form for an address, and a method, that is not there', async () => {
    expect(problem(await service.call('GET', '/v1/nothing-here'))).toEqual([404, 'not_found']);
    expect(problem(await service.call('GET', '/', { key: null }))).toEqual([404, 'not_found']);
    expect(problem(await service.call('PUT', '/v1/api-keys', { body: {} }))).toEqual([404, 'not_found']);
  });

  it('has the same form before any route is found', async () => {
    expect(problem(await service.call('GET', `${bases}/%E0%A4%A`))).toEqual([400, 'bad_request']);
    expect(problem(await service.call('GET', `${bases}/${'x'.repeat(500)}`))).toEqual([400, 'bad_request']);
  });
});

describe('a request id', () => {
  it('is taken when it is short and plain, and comes back in the header, also of an error', async () => {
    for (const path of [bases, '/v1/nothing', `${bases}/${'x'.repeat(500)}`]) {
      const answer = await service.call('GET', path, { headers: { 'x-request-id': 'mine:1.a_b-c' } });
      expect(answer.headers.get('x-request-id'), path).toBe('mine:1.a_b-c');
    }
  });

  it('is made when none is given, or one that could forge a log line', async () => {
    for (const given of ['', 'two words', '{"level":60}', 'x'.repeat(101)]) {
      const answer = await service.call('GET', bases, { headers: { 'x-request-id': given } });
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('a body', () => {
  it.each([
    ['that is cut short', '{"name":'],
    ['with __proto__', '{"name":"x","__proto__":{"admin":true}}'],
    ['with constructor.prototype', '{"name":"x","constructor":{"prototype":{"admin":true}}}'],
    ['that is not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['nested 200,000 deep', `{"name":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['with NaN', '{"name":NaN}'],
  ])('%s is a 400', async (_, body) => {
    expect(problem(await send(body))).toEqual([400, 'bad_request']);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('with brackets inside its texts is not mistaken for a deep one', async () => {
    expect((await send(JSON.stringify({ name: `"\\${'[{'.repeat(90)}` }))).status).toBe(201);
  });

  it.each(['null', '[]', '1', '"text"', ''])('that is %j instead of an object is a 400', async (body) => {
    expect((await send(body)).status).toBe(400);
  });

  it('that is larger than its route takes is a 413', async () => {
    const large = 'x'.repeat(2 * 1024 * 1024);
    expect(problem(await send(JSON.stringify({ name: large })))).toEqual([413, 'payload_too_large']);
    const { id } = await makeBase(service, service.key);
    expect(
      problem(await send(JSON.stringify({ content: large + large }), { path: `${bases}/${id}/documents` })),
    ).toEqual([413, 'payload_too_large']);
    const form = new FormData();
    form.set('file', new Blob([large]), 'large.txt');
    const encoded = new Response(form);
    const upload = { path: `${bases}/${id}/documents`, type: encoded.headers.get('content-type') ?? '' };
    expect(problem(await send(Buffer.from(await encoded.arrayBuffer()), upload))).toEqual([413, 'payload_too_large']);
    expect(problem(await send(large, { path: `/v1/hooks/${newId('cms')}` }))).toEqual([413, 'payload_too_large']);
  });

  it('with what no database can hold is a 400 and not an accident', async () => {
    const { id } = await makeBase(service, service.key);
    const documents = `${bases}/${id}/documents`;
    const bodies: [string, object][] = [
      [bases, { name: 'a\u0000b' }],
      [documents, { content: 'x', title: 'a\u0000b' }],
      [documents, { content: 'x', metadata: { a: '\u0000' } }],
      [documents, { content: 'x', metadata: { a: '\ud800' } }],
      [documents, { content: 'x', sourceUpdatedAt: '2026-W10' }],
      [documents, { content: 'x', sourceUpdatedAt: '2026' }],
      // What JavaScript or PostgreSQL cannot read, although ISO 8601 knows it.
      [documents, { content: 'x', sourceUpdatedAt: '2026-03-01T10Z' }],
      [documents, { content: 'x', sourceUpdatedAt: '2026-03-01T10:30:15,123Z' }],
      [documents, { content: 'x', sourceUpdatedAt: '0000-01-01T00:00:00Z' }],
      [documents, { content: 'x', sourceUpdatedAt: 'March 7' }],
      [documents, { content: 'x', sourceUpdatedAt: null }],
    ];
    for (const [path, body] of bodies) {
      expect((await service.call('POST', path, { body })).status, JSON.stringify(body)).toBe(400);
    }
    expect(problem(await service.call('GET', `${documents}?externalId=%00`))).toEqual([400, 'bad_request']);
  });
});

describe('a list', () => {
  it.each([
    'limit=-1',
    'limit=0',
    'limit=1e9',
    'limit=abc',
    'limit=1.5',
    'limit=5&limit=6',
    'cursor=!!!',
    'cursor=',
    'cursor=%00',
    'sort=name',
  ])('refuses ?%s', async (query) => {
    expect(problem(await service.call('GET', `${bases}?${query}`))).toEqual([400, 'validation_failed']);
  });

  it('refuses a cursor that was changed, and a numbered one beyond all numbers', async () => {
    const { id } = await makeBase(service, service.key);
    const forged = Buffer.from("' or 1=1 --").toString('base64url');
    expect(problem(await service.call('GET', `${bases}?cursor=${forged}`))).toEqual([400, 'validation_failed']);
    expect((await service.call('GET', `${bases}/${id}/versions?cursor=9999999999`)).status).toBe(400);
    expect((await service.call('GET', `${bases}/${id}/versions?cursor=-1`)).status).toBe(400);
  });

  it('comes in pages that hold every row once, newest first', async () => {
    const { key } = await makeTenant(service);
    const ids = [];
    for (let made = 0; made < 5; made++) ids.unshift((await makeBase(service, key)).id);
    const found: string[] = [];
    for (let cursor = ''; ;) {
      const { data, nextCursor } = (await service.call('GET', `${bases}?limit=2${cursor}`, { key })).body;
      found.push(...data.map(({ id }: { id: string }) => id));
      if (nextCursor === null) break;
      cursor = `&cursor=${nextCursor}`;
    }
    expect(found).toEqual(ids);
  });
});

describe('an open address', () => {
  it('/health/live says that the process lives', async () => {
    expect(await service.call('GET', '/health/live', { key: null })).toMatchObject({
      status: 200,
      body: { status: 'ok' },
    });
  });

  it('/health/ready says how each part is', async () => {
    const { status, body } = await service.call('GET', '/health/ready', { key: null });
    const part = { status: 'ok', ms: expect.any(Number) };
    const model = { status: 'built-in' };
    expect([status, Object.keys(body)]).toEqual([200, ['status', 'mode', 'checks']]);
    expect(body.checks).toEqual({ database: part, queue: part, blobs: part, embeddings: model, chat: model });
  });

  it('/docs shows the page and /docs-json what it is made from', async () => {
    const page = await service.call('GET', '/docs', { key: null });
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
    const described = await service.call('GET', '/docs-json', { key: null });
    expect(described.body).toMatchObject({ openapi: expect.stringMatching(/^3\./), info: { title: 'Lectern' } });
    expect(described.body.paths['/v1/tokens'].post.security).toEqual([{ bearer: [] }]);
  });
});
