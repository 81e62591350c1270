import { randomUUID } from 'node:crypto';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { once as onNext } from '../faults/crossings.js';
import { type Base, makeBase, makeDocument, makeKey, makeTenant, makeToken } from './callers.js';
import { type Service, joinService } from './harness.js';

let service: Service;
let base: Base;

beforeAll(async () => {
  service = await joinService();
  base = await makeBase(service, service.key);
});
afterAll(() => service.stop());

const documents = ({ id }: Base) => `/v1/knowledge-bases/${id}/documents`;
const replayed = (headers: Headers) => headers.get('idempotent-replayed');

const post = (path: string, once: string, body: object, key = service.key) =>
  service.call('POST', path, { key, body, headers: { 'idempotency-key': once } });

function upload(once: string, content: string) {
  const form = new FormData();
  form.set('file', new Blob([content]), 'leave.txt');
  form.set('metadata', '{"a":1}');
  return service.call('POST', documents(base), { form, headers: { 'idempotency-key': once } });
}

const countOf = async (of: Base) =>
  (await service.call('GET', `/v1/knowledge-bases/${of.id}`, { key: of.key })).body.documents;

describe('a POST with an Idempotency-Key', () => {
  it('that is repeated has no second effect and gets the stored answer, marked so', async () => {
    const before = await countOf(base);
    const [once, body] = [randomUUID(), { content: 'once' }];
    const first = await post(documents(base), once, body);
    const again = await post(documents(base), once, body);
    expect([first.status, replayed(first.headers)]).toEqual([202, null]);
    expect([again.status, again.text, replayed(again.headers)]).toEqual([202, first.text, 'true']);
    expect(await countOf(base)).toBe(before + 1);
  });

  it('shows a secret again to the one who lost it on the way, and stores it nowhere in the clear', async () => {
    const [once, body] = [randomUUID(), { name: 'once', scopes: ['search'] }];
    const { key } = (await post('/v1/api-keys', once, body)).body;
    expect((await post('/v1/api-keys', once, body)).body.key).toBe(key);
    const rows = await service
      .database()
      .asOwner((tx) => tx.rows<{ body: Buffer }>('select body from idempotency_key where key = $1', [once]));
    expect(rows).toHaveLength(1);
    expect(Buffer.from(rows[0]?.body ?? []).includes(key)).toBe(false);
  });

  it('124: that broke off between its commit and its answer is answered when it is repeated, and has no second effect', async () => {
    const ways = [
      (key: string) => post(documents(base), key, { content: 'broken off' }),
      (key: string) => upload(key, 'broken off'),
    ];
    for (const send of ways) {
      const [before, key] = [await countOf(base), randomUUID()];
      onNext('upload.committed', () => Promise.reject(new Error('broke off')));
      expect((await send(key)).status).toBe(500);
      const again = await send(key);
      expect([again.status, replayed(again.headers), again.body.unchanged]).toEqual([202, 'true', false]);
      expect((await service.call('GET', `${documents(base)}/${again.body.id}`)).status).toBe(200);
      expect(await countOf(base)).toBe(before + 1);
    }
  });

  it('and another body is a 422 and has no effect', async () => {
    const once = randomUUID();
    await post(documents(base), once, { content: 'one' });
    const before = await countOf(base);
    expect(await post(documents(base), once, { content: 'other' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    });
    expect(await countOf(base)).toBe(before);
  });

  it('sent twenty times at once makes one document', async () => {
    const mine = await makeBase(service, service.key);
    const once = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(documents(mine), once, { content: 'once' })),
    );
    const made = answers.filter(({ status }) => status === 202);
    const waiting = answers.filter(({ status, body }) => status === 409 && body.code === 'idempotency_in_progress');
    expect(made.length + waiting.length).toBe(20);
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    expect(made.filter(({ headers }) => replayed(headers) === null)).toHaveLength(1);
    expect(await countOf(mine)).toBe(1);
  });

  it('means nothing to another tenant, another caller or another route', async () => {
    const once = randomUUID();
    const body = { name: once, scopes: ['search'] };
    const answers = [
      await post('/v1/api-keys', once, body),
      await post('/v1/api-keys', once, body, (await makeTenant(service)).key),
      await post(
        '/v1/api-keys',
        once,
        body,
        (await makeKey(service, service.key, { scopes: ['keys:manage', 'search'] })).key,
      ),
      await post('/v1/knowledge-bases', once, { name: once }),
    ];
    expect(answers.map(({ status, headers }) => [status, replayed(headers)])).toEqual(
      Array.from({ length: 4 }, () => [201, null]),
    );
  });

  it('that failed gives its key back', async () => {
    const once = randomUUID();
    expect((await post('/v1/knowledge-bases', once, { name: '' })).status).toBe(400);
    const name = randomUUID();
    const made = await post('/v1/knowledge-bases', once, { name });
    expect([made.status, replayed(made.headers)]).toEqual([201, null]);
    expect((await post('/v1/knowledge-bases', randomUUID(), { name })).status).toBe(409);
  });

  it('and a file is told from another file by its bytes, and repeated like any other', async () => {
    const once = randomUUID();
    const first = await upload(once, 'a file');
    const again = await upload(once, 'a file');
    expect([first.status, again.status, again.body.id, replayed(again.headers)]).toEqual([
      202,
      202,
      first.body.id,
      'true',
    ]);
    expect(await upload(once, 'another file')).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  });

  it.each(['', 'two words', 'x'.repeat(256)])('of %j is refused', async (once) => {
    const refused = await post('/v1/knowledge-bases', once, { name: 'x' });
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ field: 'Idempotency-Key' }] } });
  });

  it('does not replay found text to a caller whose grant was revoked since', async () => {
    const mine = await makeBase(service, service.key);
    const document = await makeDocument(service, mine, { access: { visibility: 'restricted', allow: ['user:ada'] } });
    const ada = await makeToken(service, service.key, { subject: 'ada' });
    const [path, once] = [`/v1/knowledge-bases/${mine.id}/search`, randomUUID()];
    const results = async () => (await post(path, once, { query: 'annual leave' }, ada)).body.results;
    expect(await results()).toHaveLength(1);
    await service.call('PATCH', `${documents(mine)}/${document.id}`, {
      body: { access: { visibility: 'restricted' } },
    });
    expect(await results()).toEqual([]);
  });
});
