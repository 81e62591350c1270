import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CacheUpkeep } from '../../src/retrieval/cache-upkeep.js';
import { PostingCache } from '../../src/retrieval/posting-cache.js';
import { BlobStore } from '../../src/platform/blobs.js';
import { makeKey, makeTenant, newId } from './callers.js';
import { startChatModel, type Turn } from './chat-model.js';
import { type Service, joinService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const leave = (days: number, more: object = {}) => ({
  externalId: 'leave',
  title: 'Leave',
  content: `Every employee has ${days} days of annual leave.`,
  ...more,
});
const receipt = async (id: string, of: Library = library) => (await of.call('GET', `/deletions/${id}`)).body;
const remove = (id: string) => library.call('DELETE', `/documents/${id}`);
const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const blobs = async () => (await service.part(BlobStore).list(null, 1000)).length;

describe('the receipt of a deletion', () => {
  it('is named by the answer to DELETE, is pending until everything is gone, and counts what was', async () => {
    const before = await blobs();
    const { id } = await library.publish(leave(27, { access: { visibility: 'restricted', allow: ['group:hr'] } }));
    await library.publish(leave(28));
    const answer = await remove(id);
    expect([answer.status, answer.headers.get('location')]).toEqual([
      204,
      `/v1/knowledge-bases/${library.base}/deletions/${id}`,
    ]);
    const path = answer.headers.get('location') ?? '';
    expect((await service.call('GET', path)).body).toEqual({
      id,
      documentId: id,
      externalId: 'leave',
      cause: 'request',
      status: 'pending',
      requestedAt: expect.any(String),
      completedAt: null,
      removed: {},
    });
    await service.settle();
    const done = await receipt(id);
    expect(done).toMatchObject({
      status: 'completed',
      removed: { revisions: 2, parses: 2, chunks: 2, vectors: 2, postings: 2, blobs: 2, grants: 1, answers: 0 },
    });
    expect(Date.parse(done.completedAt)).toBeGreaterThanOrEqual(Date.parse(done.requestedAt));
    expect(await blobs()).toBe(before);
    const left = await owner<{ segments: number }>(
      `select count(*)::int as segments from segment s join knowledge_index i on i.id = s.index_id where i.knowledge_base_id = $1`,
      [bare(library.base)],
    );
    expect(left).toEqual([{ segments: 0 }]);
  });

  it('is not complete as long as a segment holds postings of it', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    await remove(id);
    await service.settle();
    const [segment] = await owner<{ no: number }>(
      'select no from segment s join knowledge_index i on i.id = s.index_id where i.knowledge_base_id = $1 limit 1',
      [bare(library.base)],
    );
    await owner(
      `update deletion set segments = array[$2::int], pending = '{postings}', completed_at = null where document_id = $1`,
      [bare(id), segment?.no],
    );
    await service.settle();
    expect((await receipt(id)).status).toBe('pending');
    await owner(`update deletion set segments = '{}' where document_id = $1`, [bare(id)]);
    await service.settle();
    expect((await receipt(id)).status).toBe('completed');
  });

  it('is for whoever deleted it and for those who see everything; for others it is not there', async () => {
    const cms = await makeKey(service, service.key, { scopes: ['documents:write', 'documents:read'] });
    const another = await makeKey(service, service.key, { scopes: ['documents:write', 'documents:read'] });
    const all = await makeKey(service, service.key, { scopes: ['documents:read', 'documents:read-all'] });
    const tenant = await makeTenant(service);
    const { id } = await library.publish(leave(27));
    expect((await library.call('DELETE', `/documents/${id}`, { key: cms.key })).status).toBe(204);
    const ask = async (key: string) => (await library.call('GET', `/deletions/${id}`, { key })).status;
    expect([await ask(cms.key), await ask(all.key), await ask(another.key), await ask(tenant.key)]).toEqual([
      200, 200, 404, 404,
    ]);
    const listed = async (key: string) => (await library.call('GET', '/deletions', { key })).body.data?.length;
    expect([await listed(cms.key), await listed(all.key), await listed(another.key)]).toEqual([1, 1, 0]);
    const elsewhere = await openLibrary(service);
    expect((await elsewhere.call('GET', `/deletions/${id}`)).status).toBe(404);
    expect((await library.call('GET', `/deletions/${newId('doc')}`)).status).toBe(404);
    const { id: living } = await library.publish(leave(29));
    expect((await library.call('GET', `/deletions/${living}`)).status).toBe(404);
  });

  it('is left by a sync that is aborted, of what only it had made', async () => {
    const sync = (await library.call('POST', '/syncs')).body.id;
    const { body } = await library.upload(leave(27, { syncId: sync }));
    await service.settle();
    await library.call('POST', `/syncs/${sync}/abort`);
    await service.settle();
    expect(await receipt(body.id)).toMatchObject({
      cause: 'sync',
      status: 'completed',
      removed: { chunks: 1, blobs: 1 },
    });
  });

  it('is left by a CMS that deletes an article, and what it had sent of it goes too', async () => {
    const source = (await service.call('POST', '/v1/cms-sources', { body: { knowledgeBaseId: library.base } })).body;
    const send = async (change: object) => {
      const body = JSON.stringify({ articleId: 'a', title: 'Refunds', url: 'https://example.com/a', ...change });
      const signature = createHmac('sha256', source.secret).update(body).digest('hex');
      const answer = await fetch(`${service.url}/v1/hooks/${source.id}`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', 'x-webhook-signature': signature },
      });
      expect(answer.status).toBe(202);
      await service.settle();
    };
    await send({ action: 'published', content: 'Refunds within 14 days.', updatedAt: '2026-03-01T12:00:00Z' });
    const [document] = (await library.list()).data;
    await send({ action: 'deleted', content: '', updatedAt: '2026-03-02T12:00:00Z' });
    expect(await receipt(document.id)).toMatchObject({
      cause: 'cms',
      status: 'completed',
      removed: { chunks: 1, hooks: 2 },
    });
    const kept = await owner<{ body: Buffer; data: object }>(
      `select e.body, o.data from cms_event e join event o on o.id = e.event_id where e.source_id = $1`,
      [bare(source.id)],
    );
    expect(kept).toHaveLength(2);
    for (const { body, data } of kept)
      expect([Buffer.from(body).length, JSON.stringify(data)]).toEqual([0, expect.not.stringContaining('Refunds')]);
  });
});

describe('a deleted knowledge base', () => {
  it('leaves a receipt of each of its documents, tells of each, and ends its open syncs', async () => {
    const before = await blobs();
    const ids: string[] = [];
    for (let number = 0; number < 30; number++)
      ids.push((await library.upload({ externalId: `d${number}`, content: `Tide table ${number}.` })).body.id);
    await service.settle();
    const sync = (await library.call('POST', '/syncs')).body.id;
    const { body: held } = await library.upload({ externalId: 'held', content: 'Held back.', syncId: sync });
    const { body: late } = await library.upload({ externalId: 'late', content: 'Sent but never read.' });
    const answer = await library.call('DELETE', '');
    expect([answer.status, answer.headers.get('location')]).toEqual([
      204,
      `/v1/knowledge-bases/${library.base}/deletions`,
    ]);
    expect((await library.call('GET', '/documents')).status).toBe(404);
    await service.settle();
    for (const id of [...ids, held.id, late.id])
      expect(await receipt(id)).toMatchObject({ cause: 'base', status: 'completed' });
    expect((await library.call('GET', '/deletions?limit=200')).body.data).toHaveLength(32);
    const events = (await service.call('GET', '/v1/events?limit=200')).body.data;
    const told = (type: string) =>
      events.filter(
        (event: { type: string; data: Record<string, string> }) =>
          event.type === type && event.data['knowledgeBaseId'] === library.base,
      );
    expect(told('document.deleted')).toHaveLength(32);
    expect(told('sync.failed')).toMatchObject([{ data: { syncId: sync, reason: 'knowledge_base_deleted' } }]);
    expect(await owner('select status from sync where id = $1', [bare(sync)])).toEqual([{ status: 'aborted' }]);
    expect(await blobs()).toBe(before);
  });
});

const ask = async (message: string, bases = [library.base]) =>
  (await service.call('POST', '/v1/chat', { body: { knowledgeBases: bases, message } })).body;
const stored = async (messageId: string) => {
  const [row] = await owner<{
    content: string;
    answer: { answer: string; citations: { documentId: string }[]; passages: object[] };
  }>('select content, answer from message where id = $1', [bare(messageId)]);
  if (!row) throw new Error('the message is gone');
  return row;
};

describe('what a deleted document said', () => {
  it('leaves stored answers, which keep what they quote of others', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish({
      externalId: 'part',
      title: 'Part-timers',
      content: 'Part-time employees have annual leave of 14 days.',
    });
    const { messageId, answer } = await ask('How many days of annual leave do employees have?');
    expect(answer).toMatch(/27 days[^]*14 days|14 days[^]*27 days/);
    expect((await stored(messageId)).answer.passages).toHaveLength(2);
    await remove(id);
    await service.settle();
    const left = await stored(messageId);
    expect(left.content).toContain('14 days');
    expect(JSON.stringify(left)).not.toMatch(/27 days|"title":"Leave"/);
    expect(left.answer.passages).toHaveLength(1);
    expect(left.answer.citations.find(({ documentId }) => documentId === id)).toEqual({
      marker: expect.any(Number),
      documentId: id,
      revision: expect.any(String),
      start: expect.any(Number),
      end: expect.any(Number),
      deleted: true,
    });
    expect((await receipt(id)).removed).toMatchObject({ answers: 1, passages: 1, citations: 1 });
  });

  it('is not given again to who repeats the upload with its key, and no second document is made', async () => {
    const send = () =>
      library.upload(leave(27, { title: 'A secret title' }), { headers: { 'idempotency-key': 'the-key' } });
    const { body } = await send();
    await service.settle();
    await remove(body.id);
    await service.settle();
    expect(await send()).toMatchObject({ status: 410, body: { code: 'gone' } });
    expect((await library.list()).data).toEqual([]);
    expect((await receipt(body.id)).removed).toMatchObject({ replies: 1 });
  });

  it('leaves the memory of the process, also where nobody asks any more', async () => {
    const word = `w${randomUUID().replaceAll('-', '')}`;
    const { id } = await library.publish({ externalId: 'x', content: `It is called ${word} here.` });
    await library.finds(word);
    const cache = service.part(PostingCache) as unknown as {
      headers: Map<number, unknown>;
      buckets: Map<string, unknown>;
    };
    const [segment] = await owner<{ no: number }>(
      'select segment_no as no from segment_revision where document_id = $1',
      [bare(id)],
    );
    const held = () =>
      [...cache.headers.keys(), ...[...cache.buckets.keys()].map((key) => Number(key.split(':')[0]))].filter(
        (no) => no === segment?.no,
      ).length;
    expect(held()).toBeGreaterThan(1);
    await service.part(CacheUpkeep).forget();
    expect(held()).toBeGreaterThan(1);
    await remove(id);
    await service.settle();
    await service.part(CacheUpkeep).forget();
    expect(held()).toBe(0);
  });
});

describe('an answer that a model wrote', () => {
  let modelled: Service;
  let model: Awaited<ReturnType<typeof startChatModel>>;
  let script: () => Turn | Promise<Turn>;
  beforeAll(async () => {
    model = await startChatModel(() => script());
    modelled = await startService({ env: { ...model.env, CHAT_TIMEOUT_MS: '30000' } });
  });
  afterAll(async () => {
    await modelled.stop();
    model.stop();
  });

  const told = () => JSON.stringify(model.heard.at(-1)?.messages);

  it('goes as a whole: what it took from which passage cannot be told', async () => {
    const own = await openLibrary(modelled);
    const { id } = await own.publish(leave(27));
    await own.publish({ externalId: 'part', content: 'Part-time employees have annual leave of 14 days.' });
    script = () => ({ say: 'Everyone has twenty-seven days, and part-timers fourteen days [1] [2].' });
    const { body } = await modelled.call('POST', '/v1/chat', {
      body: { knowledgeBases: [own.base], message: 'How many days of annual leave do employees have?' },
    });
    expect(body.mode).toBe('generated');
    await own.call('DELETE', `/documents/${id}`);
    await modelled.settle();
    const rows = await modelled
      .database()
      .asOwner((tx) =>
        tx.rows<{ content: string; answer: { answer: string; citations: object[] } }>(
          'select content, answer from message where id = $1',
          [bare(body.messageId)],
        ),
      );
    expect([rows[0]?.content, rows[0]?.answer.answer]).toEqual(['', '']);
    expect(rows[0]?.answer.citations).toHaveLength(body.citations.length);
  });

  it('is told to no model again once its base is deleted, even before that is cleared away', async () => {
    const own = await openLibrary(modelled);
    const other = await openLibrary(modelled);
    await own.publish(leave(27));
    await other.publish({ externalId: 'travel', content: 'Trains come before planes.' });
    const say = (bases: string[], message: string, conversationId?: string) =>
      modelled.call('POST', '/v1/chat', { body: { knowledgeBases: bases, message, conversationId } });
    script = () => ({ say: 'Everyone has twenty-seven days [1].' });
    const { conversationId } = (await say([own.base], 'How many days of annual leave?')).body;
    await say([other.base], 'And what about trains and planes?', conversationId);
    expect(told()).toContain('twenty-seven');
    await own.call('DELETE', '');
    await say([other.base], 'And what about trains and planes?', conversationId);
    expect(told()).not.toContain('twenty-seven');
  });

  it('that was being written while its document was deleted is neither given nor stored with it', async () => {
    const own = await openLibrary(modelled);
    const askWhileDeleting = async (stream: boolean) => {
      const { id } = await own.publish(leave(27));
      script = async () => {
        await own.call('DELETE', `/documents/${id}`);
        await modelled.settle();
        return { say: 'Everyone has twenty-seven days [1].' };
      };
      return modelled.call('POST', '/v1/chat', {
        body: { knowledgeBases: [own.base], message: 'How many days of annual leave do employees have?', stream },
      });
    };
    const without = { outcome: 'not_found', citations: [], escalation: { suggested: true, reason: 'no_evidence' } };
    const streamed = await askWhileDeleting(true);
    const events = streamed.text.split('\n\n').filter(Boolean);
    const done = /^event: message\.done\ndata: (.*)$/.exec(events.at(-1) ?? '')?.[1] ?? '';
    expect(JSON.parse(done)).toMatchObject(without);
    expect(done).not.toContain('twenty-seven');
    expect(events.at(-2)).toMatch(/^event: answer\.delta\ndata: .*"reset":true/);

    const { body } = await askWhileDeleting(false);
    expect(body).toMatchObject(without);
    expect(JSON.stringify(body)).not.toContain('twenty-seven');
    const rows = await modelled
      .database()
      .asOwner((tx) =>
        tx.rows<{ content: string }>('select content from message where id = $1', [bare(body.messageId)]),
      );
    expect(rows).toEqual([{ content: '' }]);
  });
});
