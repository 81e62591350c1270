import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Base, makeBase, makeTenant, type Tenant } from '../service/callers.js';
import { type Service, startService } from '../service/harness.js';
import { Receiver } from '../service/receiver.js';

interface Told {
  tenant_id: string;
  dispatched_at: Date;
}

describe('a backlog', () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  });
  afterAll(() => service.stop());

  /** A tenant whose documents wait, all of them accepted before anybody works. */
  async function waiting(documents: number): Promise<Tenant> {
    const tenant = await makeTenant(service);
    await upload(await makeBase(service, tenant.key), documents);
    return tenant;
  }

  async function upload({ id, key }: Base, documents: number): Promise<void> {
    for (let number = 0; number < documents; number++) {
      const body = { title: `Note ${number}`, content: `Badges are handed out at desk ${number}.` };
      const { status } = await service.call('POST', `/v1/knowledge-bases/${id}/documents`, { key, body });
      expect(status).toBe(202);
    }
  }

  const events = (type: string, tenants: Tenant[]): Promise<Told[]> =>
    service
      .database()
      .asSystem((tx) =>
        tx.rows<Told>(
          'select tenant_id, dispatched_at from event where type = $1 and tenant_id = any($2::uuid[]) order by id',
          [type, tenants.map(({ uuid }) => uuid)],
        ),
      );

  it('143: of one tenant is worked off by turns with another: a single upload is begun second, not sixteenth', async () => {
    const [many, one] = [await waiting(15), await waiting(1)];
    await service.settle();
    const begun = (await events('document.processing', [many, one])).map(({ tenant_id: id }) => id);
    expect(begun).toHaveLength(16);
    expect(begun.indexOf(one.uuid)).toBeLessThan(2);
  });

  it('143: of three tenants drains evenly while all of them have some', async () => {
    const tenants = [await waiting(6), await waiting(4), await waiting(2)];
    await service.settle();
    const begun = (await events('document.processing', tenants)).map(({ tenant_id: id }) => id);
    for (const { uuid } of tenants) expect(begun.slice(0, 6).filter((id) => id === uuid)).toHaveLength(2);
    expect(begun).toHaveLength(12);
  });

  it('of events is told by turns too: one tenant does not wait until all of another have been told', async () => {
    const [many, one] = [await waiting(26), await waiting(1)];
    await service.settle();
    const queued = await events('document.queued', [many, one]);
    const told = queued.find(({ tenant_id: id }) => id === one.uuid)?.dispatched_at;
    const later = queued.filter(({ dispatched_at: at }) => told !== undefined && at > told);
    expect(later.length).toBeGreaterThanOrEqual(8);
  });

  it('68: of deliveries to one endpoint is no wait for the only delivery to another', async () => {
    const receiver = await new Receiver().start();
    const listening = async (documents: number) => {
      const tenant = await makeTenant(service);
      const body = { url: receiver.url, events: ['document.queued'] };
      const { status } = await service.call('POST', '/v1/webhook-endpoints', { key: tenant.key, body });
      expect(status).toBe(201);
      const base = await makeBase(service, tenant.key);
      await upload(base, documents);
      return base;
    };
    await listening(10);
    const one = await listening(1);
    await service.settle();
    await receiver.stop();
    const came = receiver.received.map(({ body }) => JSON.parse(body).data.knowledgeBaseId);
    expect(came).toHaveLength(11);
    expect(came.indexOf(one.id)).toBeLessThan(4);
  });

  it('of documents that wait out a failure does not stand in the way of the ones behind it', async () => {
    const tenant = await waiting(12);
    // Tried before, and not yet due again.
    await service
      .database()
      .as({ tenantId: tenant.uuid }, (tx) =>
        tx.run(`update revision set tries = 1, lease_expires_at = now() + interval '1 hour'`),
      );
    await upload(await makeBase(service, tenant.key), 1);
    await service.settle();
    expect(await events('document.ready', [tenant])).toHaveLength(1);
  });
});
