import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, startService } from './harness.js';
import { Receiver } from './receiver.js';

// oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
type Json = Record<string, any>;

let service: Service;
let tenantId: string;
let source: Json;
let count = 0;

beforeAll(async () => {
  service = await startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  const rows = await service
    .database()
    .asSystem((tx) => tx.rows<{ tenant_id: string }>('select tenant_id from api_key'));
  tenantId = rows[0]?.tenant_id ?? '';
  const base = await call('POST', '/v1/knowledge-bases', { name: 'fed by a cms' });
  source = (await call('POST', '/v1/cms-sources', { knowledgeBaseId: base.body.id, kind: 'generic' })).body;
});

afterAll(() => service.stop());

const call = (method: string, path: string, body?: unknown) => service.call(method, path, { body });

const article = (change: object = {}) =>
  JSON.stringify({
    articleId: `a-${++count}`,
    action: 'published',
    title: 'Refunds',
    content: '# Refunds\n\nWithin 14 days.',
    url: 'https://example.com/refunds',
    updatedAt: '2026-03-01T12:00:00Z',
    ...change,
  });

const hex = (body: string | Buffer, secret: string = source.secret) =>
  createHmac('sha256', secret).update(body).digest('hex');

async function post(id: string, body: string | Buffer, headers: Record<string, string>) {
  const url = `${service.url}/v1/hooks/${id}`;
  const answer = await fetch(url, {
    method: 'POST',
    body: new Uint8Array(Buffer.from(body as string)),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}

const send = (body: string | Buffer, headers: Record<string, string> = { 'x-webhook-signature': hex(body) }) =>
  post(source.id, body, headers);

const eventRow = (shown: string) =>
  service
    .database()
    .as({ tenantId }, (tx) =>
      tx.row<Json>('select status, error_code, error_message, body from cms_event where id = $1', [shown.slice(4)]),
    );

const changes = (articleId: string) =>
  service
    .database()
    .as({ tenantId }, (tx) =>
      tx.rows<Json>(`select data from event where type = 'article.changed' and data->>'externalId' = $1`, [articleId]),
    );

const signed = (body: string, id: string) => {
  const at = new Date();
  const signature = new Webhook(source.secret).sign(id, at, body);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signature,
  };
};

describe('cms hooks', () => {
  it('a source says where and how to send, and its secret only once', async () => {
    expect(source.hookUrl).toMatch(new RegExp(`^http.*/v1/hooks/${source.id}$`));
    expect(source.secret).toMatch(/^whsec_/);
    expect(JSON.stringify((await call('GET', '/v1/cms-sources')).body)).not.toContain('whsec_');
    const unknown = 'kb_019b0000-0000-7000-8000-000000000000';
    expect((await call('POST', '/v1/cms-sources', { knowledgeBaseId: unknown, kind: 'generic' })).status).toBe(404);
  });

  it('an article is acknowledged, stored as it came, and told once without its text', async () => {
    const body = article();
    const first = await send(body);
    expect(first).toMatchObject({ status: 202, body: { received: true, eventId: expect.stringMatching(/^cev_/) } });
    const again = await send(body, { 'x-webhook-signature': `sha256=${hex(body)}` });
    expect(again).toEqual(first);
    expect((await eventRow(first.body.eventId))?.body.toString()).toBe(body);
    await service.settle();
    expect((await eventRow(first.body.eventId))?.status).toBe('applied');
    const told = await changes(`a-${count}`);
    expect(told).toHaveLength(1);
    expect(told[0]?.data).toMatchObject({
      action: 'published',
      title: 'Refunds',
      contentHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(JSON.stringify(told)).not.toContain('14 days');
  });

  it('Standard Webhooks are understood, and repetitions told by their id', async () => {
    const first = await send(
      ...(((body) => [body, signed(body, 'one')]) as (body: string) => [string, Record<string, string>])(article()),
    );
    expect(first.status).toBe(202);
    const body = article();
    expect((await send(body, signed(body, 'one'))).body).toEqual(first.body);
    expect((await send(body, signed(body, 'two'))).body).not.toEqual(first.body);
  });

  it('a hundred repetitions at once are one event', async () => {
    const body = article();
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(body)));
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.body.eventId}`)).size).toBe(1);
    await service.settle();
    expect(await changes(`a-${count}`)).toHaveLength(1);
  });

  it('every refusal is the same 401', async () => {
    const body = article();
    const base = await call('POST', '/v1/knowledge-bases', { name: 'another' });
    const { body: other } = await call('POST', '/v1/cms-sources', { knowledgeBaseId: base.body.id, kind: 'generic' });
    const { body: deleted } = await call('POST', '/v1/cms-sources', { knowledgeBaseId: base.body.id });
    expect((await call('DELETE', `/v1/cms-sources/${deleted.id}`)).status).toBe(204);
    const refusals = [
      await send(body, {}),
      await send(body, { 'x-webhook-signature': '' }),
      await send(body, { 'x-webhook-signature': hex(`${body} `) }),
      await send(body, { 'x-webhook-signature': `${hex(body)}, ${hex(body)}` }),
      await send(body, { 'x-webhook-signature': hex(body).repeat(100) }),
      await send(body, { authorization: `Bearer ${service.key}` }),
      await post(other.id, body, { 'x-webhook-signature': hex(body) }),
      await post(deleted.id, body, { 'x-webhook-signature': hex(body, deleted.secret) }),
      await post('cms_019b0000-0000-7000-8000-000000000000', body, { 'x-webhook-signature': hex(body) }),
      await post('nothing', body, { 'x-webhook-signature': hex(body) }),
    ];
    const told = refusals.map((refusal) => ({
      status: refusal.status,
      body: { ...refusal.body, requestId: undefined },
    }));
    expect(told[0]).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    for (const answer of told) expect(answer).toEqual(told[0]);
  });

  it('bytes that are no UTF-8, other content types and too large bodies are refused', async () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    expect((await send(bytes)).status).toBe(400);
    const body = article();
    expect((await send(body, { 'content-type': 'text/plain', 'x-webhook-signature': hex(body) })).status).toBe(415);
    const large = article({ content: 'x'.repeat(2_000_000) });
    expect((await send(large)).status).toBe(413);
  });

  it.each([
    ['unreadable_event', 'no json', 'JSON'],
    ['invalid_event', '{"articleId":"x","action":"exploded","updatedAt":"2026-03-01T12:00:00Z"}', 'action'],
  ])('%s is told, and the fields named', async (code, body, named) => {
    const { body: answer } = await send(body);
    await service.settle();
    expect(await eventRow(answer.eventId)).toMatchObject({
      status: 'failed',
      error_code: code,
      error_message: expect.stringContaining(named),
    });
    const { body: events } = await call('GET', '/v1/events?limit=5');
    const told = (events.data as Json[]).find(({ data }) => data.eventId === answer.eventId);
    expect(told).toMatchObject({ type: 'cms.event.failed', data: { sourceId: source.id, code } });
  });

  it('a failed event reaches the endpoints that listen to it', async () => {
    const receiver = await new Receiver().start();
    const { body: to } = await call('POST', '/v1/webhook-endpoints', {
      url: receiver.url,
      events: ['cms.event.failed'],
    });
    await send('[]');
    await service.settle();
    expect((await call('GET', `/v1/webhook-deliveries?endpointId=${to.id}`)).body.data).toMatchObject([
      { status: 'delivered', eventType: 'cms.event.failed' },
    ]);
    const { headers, body } = receiver.received[0] ?? { headers: {}, body: '' };
    expect(new Webhook(to.secret).verify(body, headers as Record<string, string>)).toMatchObject({
      data: { code: 'unreadable_event' },
    });
    await receiver.stop();
  });

  it('NUL and lone surrogates in an article break nothing', async () => {
    const body = article({ title: 'a\u0000b\ud800', content: 'x\u0000y\udfff' });
    const { body: answer } = await send(body);
    await service.settle();
    expect((await eventRow(answer.eventId))?.status).toBe('applied');
    expect((await changes(`a-${count}`))[0]?.data.title).toBe('ab\ufffd');
  });
});
