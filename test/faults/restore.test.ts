import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from '../service/harness.js';
import { openLibrary } from '../service/library.js';
import { Receiver } from '../service/receiver.js';

describe('151: a database that was restored from a backup', () => {
  let service: Service;
  let receiver: Receiver;

  beforeAll(async () => {
    service = await joinService();
    receiver = await new Receiver().start();
  });
  afterAll(async () => {
    await service.stop();
    await receiver.stop();
  });

  it('sends again what it does not remember to have sent, under the same webhook-id: a receiver knows it', async () => {
    await service.call('POST', '/v1/webhook-endpoints', { body: { url: receiver.url, events: ['document.*'] } });
    const library = await openLibrary(service);
    await library.publish({ externalId: 'd', content: '# Rule\n\nIt holds.' });
    const ids = () => receiver.received.map(({ headers }) => String(headers['webhook-id'])).sort();
    const sent = ids();
    expect(new Set(sent).size).toBe(sent.length);
    expect(sent.length).toBeGreaterThan(0);

    // As the backup knew it: the events were recorded, and nobody had been told of them.
    await service.database().asOwner(async (tx) => {
      await tx.run('delete from webhook_delivery');
      await tx.run('update event set dispatched_at = null, claimed_until = null');
    });
    await service.settle();
    expect(ids()).toEqual([...sent, ...sent].sort());
    const answered = await library.finds('rule');
    expect(answered).toEqual(['d']);
  });
});
