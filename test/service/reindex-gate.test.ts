import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ReindexJobs } from '../../src/ingestion/reindex.jobs.js';
import { made } from './callers.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { gating } from './gating.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { lexical, leave, trains, reindexing } from './reindexing.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: Service;
let library: Library;

beforeAll(async () => {
  model = await startEmbeddingServer();
  service = await startService({ env: model.env });
});
afterAll(async () => {
  await service.stop();
  model.stop();
});
beforeEach(async () => {
  model.answer = byMeaning;
  library = await openLibrary(service);
});

const { reindex, state, version, pipeline, events, indexes } = reindexing(() => ({ service, library }));
const { force } = gating(() => ({ service, library }));

const ask = async () => {
  await library.publish(leave);
  for (const word of ['location', 'station', 'vocation'])
    await library.publish({ externalId: word, content: `The ${word} of a ${word}.` });
  const body = { query: 'vacation', expected: [{ externalId: 'leave' }] };
  made(await library.call('POST', '/golden-questions', { body }));
};

describe('of a base with golden questions', () => {
  it('a new index answers when it was judged as good as the one before', async () => {
    await ask();
    const { id } = await reindex({ chunking: { targetChars: 500, maxChars: 600 } });
    await service.part(ReindexJobs).work();
    expect(await state(id)).toMatchObject({ status: 'judging', version: 5 });
    expect(await library.activeVersion()).toBe(4);
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', version: 5 });
    expect(await version(5)).toMatchObject({ status: 'active', report: { blocked: false } });
  });

  it('a worse one is kept back, and answers when a person says so', async () => {
    await ask();
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'blocked', version: 5, endedAt: expect.any(String) });
    expect(await version(5)).toMatchObject({ status: 'blocked', report: { blocked: true } });
    expect(await events('reindex.failed')).toMatchObject([{ reindexId: id, code: 'blocked' }]);
    expect((await pipeline()).embedding.model).toBe('scripted');
    expect(await force(5)).toMatchObject({ status: 200, body: { number: 5, status: 'active' } });
    expect((await pipeline()).embedding.model).toBe(lexical);
    expect(await state(id)).toMatchObject({ status: 'completed', version: 5 });
    expect((await library.finds('leave railway', { mode: 'keyword' })).sort()).toEqual(['leave']);
  });

  it('a worse one that a person wants goes on from what was published since, and is not judged again', async () => {
    await ask();
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    await library.publish(trains);
    expect(await force(5)).toMatchObject({ status: 200, body: { number: 5, status: 'retired' } });
    expect(await state(id)).toMatchObject({ status: 'running', version: null, endedAt: null });
    expect(await force(5)).toMatchObject({ status: 410 });
    expect((await pipeline()).embedding.model).toBe('scripted');
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', version: 7, progress: { done: 5, total: 5 } });
    expect(await version(7)).toMatchObject({ status: 'active', parent: 6, report: null, stats: { documents: 5 } });
    expect((await pipeline()).embedding.model).toBe(lexical);
    expect((await library.finds('leave railway', { mode: 'keyword' })).sort()).toEqual(['leave', 'trains']);
    expect(await events('reindex.completed')).toMatchObject([{ reindexId: id, version: 7 }]);
  });

  it('a worse one waits to be forced while another is under way', async () => {
    await ask();
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await library.publish(trains);
    const { id } = await reindex({ chunking: { targetChars: 500, maxChars: 600 } });
    expect(await force(5)).toMatchObject({ status: 409, body: { detail: expect.stringContaining('Another reindex') } });
    await library.call('POST', `/reindexes/${id}/cancel`);
    expect((await force(5)).status).toBe(200);
  });

  it('one that is judged can be cancelled, and nothing waits for it any more', async () => {
    await ask();
    const { id } = await reindex({ chunking: { targetChars: 500, maxChars: 600 } });
    await service.part(ReindexJobs).work();
    expect((await state(id)).status).toBe('judging');
    const cancelled = await library.call('POST', `/reindexes/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(await version(5)).toMatchObject({ status: 'retired', report: null });
    await library.publish(trains);
    expect(await version(6)).toMatchObject({ status: 'active', parent: 4 });
    expect(await indexes()).toHaveLength(1);
  });

  it('one that was built on what no longer answers is brought up to what does', async () => {
    await ask();
    const { id } = await reindex({ chunking: { targetChars: 500, maxChars: 600 } });
    await service.part(ReindexJobs).work();
    await library.activate(2);
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', version: 6, progress: { done: 2, total: 2 } });
    expect((await version(5)).status).toBe('retired');
    expect(await version(6)).toMatchObject({ parent: 2, stats: { documents: 2 } });
    expect((await library.finds('leave location station vocation', { mode: 'keyword' })).sort()).toEqual([
      'leave',
      'location',
    ]);
  });
});
