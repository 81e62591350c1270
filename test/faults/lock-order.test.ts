import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { concurrent, deadlocks, once, untilBlocked } from './crossings.js';

const uuid = (id: string) => id.slice(id.indexOf('_') + 1);
const rule = (n: number) => ({ externalId: `rule ${n}`, content: `# Rule ${n}\n\nEmployees have ${n} days of leave.` });

describe.skipIf(!concurrent)('two transactions at once (the embedded engine runs one after the other)', () => {
  let service: Service;
  let library: Library;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    library = await openLibrary(service);
  });

  /** Does something while a publish of the base is under way and holds its locks. */
  async function duringPublish<T>(deed: () => Promise<T>): Promise<T> {
    const before = await deadlocks(service);
    let doing: Promise<T> | null = null;
    once('publish.swapping', () => untilBlocked(service, (doing = deed())));
    await service.settle();
    const done = await (doing ?? deed());
    expect(await deadlocks(service)).toBe(before);
    return done;
  }

  it('a publish that waited for another one publishes what is left', async () => {
    await library.upload(rule(1));
    await duringPublish(async () => {
      await library.upload(rule(2));
      await service.settle();
    });
    expect((await library.finds('leave')).sort()).toEqual(['rule 1', 'rule 2']);
    expect(await library.activeVersion()).toBe(2);
  });

  it('a new document is accepted while a publish is under way, and does not wait for it', async () => {
    await library.upload(rule(1));
    let answer: Answer | null = null;
    once('publish.swapping', async () => (answer = await library.upload(rule(2))));
    await service.settle();
    expect(answer).toMatchObject({ status: 202 });
  });

  it('a title that is given while the revision with another one is published holds, and both succeed', async () => {
    const { id } = await library.publish({ ...rule(1), title: 'First' });
    await library.upload({ ...rule(2), externalId: 'rule 1', title: 'Second' });
    const patched = await duringPublish(() => library.call('PATCH', `/documents/${id}`, { body: { title: 'Third' } }));
    expect(patched.status).toBe(200);
    expect(await library.get(id)).toMatchObject({ title: 'Third', status: 'ready', revision: { number: 2 } });
  });

  it('a newer revision that is staged during the publish is the next version', async () => {
    await library.publish(rule(1));
    await library.upload({ ...rule(2), externalId: 'rule 1' });
    await duringPublish(async () => {
      await library.upload({ ...rule(3), externalId: 'rule 1' });
      await service.settle();
    });
    expect(await library.says('leave')).toContain('3 days');
    expect(await library.activeVersion()).toBe(3);
  });

  /** Does something while a worker stages a revision: it has the revision's row, and is about to write the document's. */
  async function duringStaging<T>(documentId: string, deed: () => Promise<T>): Promise<T> {
    const before = await deadlocks(service);
    const doing = await service.database().asOwner(async (tx) => {
      await tx.run('select 1 from revision where document_id = $1 for no key update', [uuid(documentId)]);
      const begun = deed();
      await untilBlocked(service, begun);
      await tx.run('update document set title = title where id = $1', [uuid(documentId)]);
      return { begun };
    });
    const done = await doing.begun;
    expect(await deadlocks(service)).toBe(before);
    return done;
  }

  it.each(['PATCH', 'DELETE'])('%s of a document whose new revision is being staged succeeds', async (method) => {
    const { id } = await library.publish({ ...rule(1), title: 'First' });
    await library.upload({ ...rule(2), externalId: 'rule 1', title: 'Second' });
    const body = method === 'PATCH' ? { title: 'Third' } : undefined;
    const answer = await duringStaging(id, () => library.call(method, `/documents/${id}`, { body }));
    expect(answer.status).toBe(method === 'PATCH' ? 200 : 204);
    await service.settle();
  });

  it.each(['deleted', 'unpublished'])(
    'an article that the CMS calls %s while it is being staged is gone',
    async (action) => {
      const wish = { body: { knowledgeBaseId: library.base, kind: 'generic' } };
      const source = (await service.call('POST', '/v1/cms-sources', wish)).body;
      const send = async (event: object) => {
        const text = JSON.stringify({ articleId: 'rule', title: 'Rule', url: null, ...event });
        const signature = createHmac('sha256', source.secret).update(text).digest('hex');
        const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
        const answer = await fetch(`${service.url}/v1/hooks/${source.id}`, { method: 'POST', headers, body: text });
        expect(answer.status).toBe(202);
        await service.settle();
      };
      await send({ action: 'published', updatedAt: '2026-01-01T00:00:00Z', content: '# Rule\n\n9 days of leave.' });
      const { id } = (await library.list()).data[0];
      await library.upload({ ...rule(2), externalId: 'rule' });
      await duringStaging(id, () => send({ action, updatedAt: '2026-01-02T00:00:00Z' }));
      await service.settle();
      expect(await library.finds('leave')).toEqual([]);
    },
  );
});
