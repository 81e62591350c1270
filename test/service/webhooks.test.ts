import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Service, startService } from './harness.js';
import { Receiver } from './receiver.js';

// oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
type Json = Record<string, any>;

let service: Service;
let receiver: Receiver;
let tenantId: string;

beforeAll(async () => {
  service = await startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  const rows = await service
    .database()
    .asSystem((tx) => tx.rows<{ tenant_id: string }>('select tenant_id from api_key'));
  tenantId = rows[0]?.tenant_id ?? '';
});

afterAll(() => service.stop());

beforeEach(async () => {
  receiver = await new Receiver().start();
  return () => receiver.stop();
});

const call = (method: string, path: string, body?: unknown) => service.call(method, path, { body });

async function endpoint(events = ['cms.*'], url = receiver.url): Promise<Json> {
  const made = await call('POST', '/v1/webhook-endpoints', { url, events });
  expect(made.status).toBe(201);
  return made.body;
}

const deliveriesOf = async ({ id }: Json): Promise<Json[]> =>
  (await call('GET', `/v1/webhook-deliveries?endpointId=${id}`)).body.data;

/** Runs SQL on the tenant's rows: how a test lets time pass. */
const sql = (text: string, parameters: unknown[] = []) =>
  service.database().as({ tenantId }, (tx) => tx.run(text, parameters));

/** Lets the waiting attempt of an endpoint's deliveries come due, and makes it. */
async function passTime({ id }: Json): Promise<void> {
  await sql(`update webhook_delivery set next_attempt_at = now() where status = 'pending' and endpoint_id = $1`, [
    id.slice(4),
  ]);
  await service.settle();
}

const lastReadWith = (secret: string) => () => {
  const { headers, body } = receiver.received.at(-1) ?? { headers: {}, body: '' };
  return new Webhook(secret).verify(body, headers as Record<string, string>);
};

async function testEvent(to: Json): Promise<Json> {
  const sent = await call('POST', `/v1/webhook-endpoints/${to.id}/test`);
  expect(sent.status).toBe(202);
  await service.settle();
  return (await call('GET', `/v1/webhook-deliveries/${sent.body.id}`)).body;
}

describe('endpoints', () => {
  it('the secret is shown when it is made, and by no other call', async () => {
    const made = await endpoint(['document.*', 'document.*']);
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made.events).toEqual(['document.*']);
    const others = [await call('GET', `/v1/webhook-endpoints/${made.id}`), await call('GET', '/v1/webhook-endpoints')];
    for (const { status, body } of others) {
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toMatch(/whsec_|secret/);
    }
  });

  it.each([
    'http://10.0.0.1/',
    'http://example.com/',
    'https://169.254.169.254/',
    'https://u:p@example.com/',
    'ftp://127.0.0.1/',
    'no url',
  ])('%s is not called, whether given at first or later', async (url) => {
    const refused = await call('POST', '/v1/webhook-endpoints', { url, events: ['*'] });
    expect([refused.status, refused.body.code]).toEqual([422, 'url_not_allowed']);
    const { id } = await endpoint();
    expect((await call('PATCH', `/v1/webhook-endpoints/${id}`, { url })).status).toBe(422);
  });

  it.each([[['docu*']], [['revision.staged']], [[]], [['document.*', 'nothing.*']], ['*'], [undefined]])(
    'events %j are refused',
    async (events) => {
      const refused = await call('POST', '/v1/webhook-endpoints', { url: receiver.url, events });
      expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed']);
    },
  );

  it('what was deleted, or is somebody else’s, is not there', async () => {
    const { id } = await endpoint();
    const other = await service.call('POST', '/v1/tenants', { key: service.adminKey, body: { name: `other ${id}` } });
    const key = other.body.apiKey;
    for (const [method, path] of [
      ['GET', ''],
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/test'],
      ['POST', '/rotate-secret'],
    ] as const) {
      const body = method === 'PATCH' ? { enabled: false } : undefined;
      expect((await service.call(method, `/v1/webhook-endpoints/${id}${path}`, { key, body })).status).toBe(404);
    }
    expect((await call('DELETE', `/v1/webhook-endpoints/${id}`)).status).toBe(204);
    expect((await call('GET', `/v1/webhook-endpoints/${id}`)).status).toBe(404);
  });
});

describe('deliveries', () => {
  it('a test event arrives signed, at this endpoint and no other', async () => {
    const [to, other] = [await endpoint(), await endpoint(['*'])];
    const delivery = await testEvent(to);
    expect(delivery).toMatchObject({ status: 'delivered', attempts: 1, lastStatus: 204, eventType: 'webhook.test' });
    expect(await deliveriesOf(other)).toEqual([]);
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
    const read = new Webhook(to.secret).verify(body, headers as Record<string, string>);
    expect(read).toMatchObject({ type: 'webhook.test', version: 1, data: { endpointId: to.id, sequence: 1 } });
    expect(headers['webhook-id']).toBe(delivery.messageId);
    expect(receiver.received).toHaveLength(1);
  });

  it('is tried again with the same id and body, when its time has come and not before', async () => {
    receiver.script = [
      { status: 500, body: 'down' },
      { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      { status: 200 },
    ];
    const to = await endpoint();
    const first = await testEvent(to);
    expect(first).toMatchObject({
      status: 'pending',
      attempts: 1,
      lastStatus: 500,
      lastError: 'status_500',
      lastResponse: 'down',
    });
    await service.settle();
    expect(receiver.received).toHaveLength(1);
    await passTime(to);
    await passTime(to);
    expect((await deliveriesOf(to))[0]).toMatchObject({
      status: 'delivered',
      attempts: 3,
      lastStatus: 200,
      lastError: null,
    });
    expect(new Set(receiver.received.map(({ headers, body }) => `${headers['webhook-id']} ${body}`)).size).toBe(1);
    for (const { headers, body } of receiver.received)
      new Webhook(to.secret).verify(body, headers as Record<string, string>);
  });

  it('fails after ten attempts, and can be sent once more by hand', async () => {
    receiver.script = [{ status: 503 }];
    const to = await endpoint();
    await testEvent(to);
    for (let attempt = 2; attempt <= 11; attempt++) await passTime(to);
    const [failed] = await deliveriesOf(to);
    expect(failed).toMatchObject({ status: 'failed', attempts: 10, nextAttemptAt: null });
    expect(receiver.received).toHaveLength(10);
    receiver.script = [{ status: 200 }];
    expect((await call('POST', `/v1/webhook-deliveries/${failed?.id}/retry`)).status).toBe(202);
    await service.settle();
    expect((await deliveriesOf(to))[0]).toMatchObject({ status: 'delivered', attempts: 11 });
  });

  it('410 disables the endpoint at once, and others are told', async () => {
    receiver.script = [{ status: 410 }];
    const watcher = await new Receiver().start();
    const [to, other] = [await endpoint(), await endpoint(['webhook.endpoint.disabled'], watcher.url)];
    expect(await testEvent(to)).toMatchObject({ status: 'failed', attempts: 1, lastStatus: 410 });
    expect((await call('GET', `/v1/webhook-endpoints/${to.id}`)).body).toMatchObject({
      enabled: false,
      disabledReason: 'gone',
    });
    expect(JSON.parse(watcher.received[0]?.body ?? '{}').data).toMatchObject({ endpointId: to.id, reason: 'gone' });
    expect((await call('POST', `/v1/webhook-endpoints/${to.id}/test`)).status).toBe(409);
    await call('PATCH', `/v1/webhook-endpoints/${to.id}`, { enabled: true });
    receiver.script = [{ status: 200 }];
    expect(await testEvent(to)).toMatchObject({ status: 'delivered' });
    await call('DELETE', `/v1/webhook-endpoints/${other.id}`);
    await watcher.stop();
  });

  it('120 hours of nothing but failures disable an endpoint', async () => {
    receiver.script = [{ status: 500 }];
    const to = await endpoint();
    await testEvent(to);
    await sql(`update webhook_endpoint set failing_since = now() - interval '121 hours' where id = $1`, [
      to.id.slice(4),
    ]);
    await passTime(to);
    expect((await call('GET', `/v1/webhook-endpoints/${to.id}`)).body).toMatchObject({
      enabled: false,
      disabledReason: 'failing',
    });
    expect((await deliveriesOf(to))[0]).toMatchObject({ status: 'failed', attempts: 2 });
  });

  it('after a rotation both secrets sign, and after a day only the new one', async () => {
    const to = await endpoint();
    const { body: rotated } = await call('POST', `/v1/webhook-endpoints/${to.id}/rotate-secret`);
    await testEvent(to);
    expect(lastReadWith(to.secret)).not.toThrow();
    expect(lastReadWith(rotated.secret)).not.toThrow();
    await sql('update webhook_endpoint set previous_expires_at = now() where id = $1', [to.id.slice(4)]);
    await testEvent(to);
    expect(lastReadWith(to.secret)).toThrow('No matching signature');
    expect(lastReadWith(rotated.secret)).not.toThrow();
  });

  it('what a dead worker had claimed is sent when its claim ends', async () => {
    receiver.script = [{ status: 500 }, { status: 200 }];
    const to = await endpoint();
    await testEvent(to);
    await sql(`update webhook_delivery set claimed_until = now() + interval '1 minute' where endpoint_id = $1`, [
      to.id.slice(4),
    ]);
    await passTime(to);
    expect(receiver.received).toHaveLength(1);
    await sql('update webhook_delivery set claimed_until = now() where endpoint_id = $1', [to.id.slice(4)]);
    await passTime(to);
    expect((await deliveriesOf(to))[0]).toMatchObject({ status: 'delivered', attempts: 2 });
  });

  it('an endpoint that is slow holds four workers at most, and one while it fails', async () => {
    const to = await endpoint();
    const id = to.id.slice(4);
    for (let n = 0; n < 4; n++) await testEvent(to);
    const busy = (limit: number) =>
      sql(
        `update webhook_delivery set status = 'pending', next_attempt_at = now(),
           claimed_until = case when id in (select id from webhook_delivery where endpoint_id = $1 order by id limit $2)
                                then now() + interval '1 minute' end
         where endpoint_id = $1`,
        [id, limit],
      );
    await busy(4);
    expect(await testEvent(to)).toMatchObject({ status: 'pending', attempts: 0 });
    expect(receiver.received).toHaveLength(4);
    await busy(3);
    await service.settle();
    expect(receiver.received).toHaveLength(6);
    await sql('update webhook_endpoint set failing_since = now() where id = $1', [id]);
    await busy(1);
    await service.settle();
    expect(receiver.received).toHaveLength(6);
  });

  it('a caller limited to some knowledge bases cannot listen to all of them', async () => {
    const base = await call('POST', '/v1/knowledge-bases', { name: 'only this' });
    const { body } = await call('POST', '/v1/tokens', {
      subject: 'ada',
      scopes: ['webhooks:manage'],
      knowledgeBases: [base.body.id],
    });
    const wish = { url: receiver.url, events: ['*'] };
    expect((await service.call('POST', '/v1/webhook-endpoints', { key: body.token, body: wish })).status).toBe(403);
    expect((await service.call('GET', '/v1/webhook-deliveries', { key: body.token })).status).toBe(403);
  });

  it('a changed URL holds for what still waits', async () => {
    const gone = await endpoint(['cms.*'], 'http://127.0.0.1:9/closed');
    expect(await testEvent(gone)).toMatchObject({ status: 'pending', lastError: 'unreachable', lastStatus: null });
    await call('PATCH', `/v1/webhook-endpoints/${gone.id}`, { url: receiver.url });
    await passTime(gone);
    expect(receiver.received).toHaveLength(1);
  });

  it('lists are cut by endpoint, status and page', async () => {
    const to = await endpoint();
    for (let n = 0; n < 3; n++) await testEvent(to);
    const first = await call('GET', `/v1/webhook-deliveries?endpointId=${to.id}&status=delivered&limit=2`);
    expect(first.body.data).toHaveLength(2);
    const next = await call(
      'GET',
      `/v1/webhook-deliveries?endpointId=${to.id}&limit=2&cursor=${first.body.nextCursor}`,
    );
    expect(next.body).toMatchObject({ data: [{ endpointId: to.id }], nextCursor: null });
    expect((await call('GET', `/v1/webhook-deliveries?endpointId=${to.id}&status=failed`)).body.data).toEqual([]);
    expect((await call('GET', '/v1/webhook-deliveries?status=lost')).status).toBe(400);
  });
});
