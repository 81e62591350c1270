import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BlobStore } from '../../src/platform/blobs.js';
import { every, once } from '../faults/crossings.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { Letters } from '../../src/retrieval/letters.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { lexical, leave, trains, long, afterBuilding, reindexing } from './reindexing.js';

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

const { rows, uuid, poll, alike, reindex, state, version, pipeline, events, indexes } = reindexing(() => ({
  service,
  library,
}));

/** From then on a file that were read again would not be there. */
async function removeBytes() {
  const blobs = service.part(BlobStore);
  const stored = await blobs.list(null, 10_000);
  expect(stored.length).toBeGreaterThan(0);
  for (const { tenantId, hash } of stored) await blobs.remove(tenantId, hash);
}

describe('another chunk size', () => {
  it('is built from stored texts, with the vectors of equal text, and answers when all of it is there', async () => {
    library = await openLibrary(service, { pipeline: { chunking: { targetChars: 4000, maxChars: 4000 } } });
    await library.publish(leave);
    await library.publish(long);
    await library.search('salary wages', { mode: 'keyword' });
    await removeBytes();
    model.asked.length = 0;
    const begun = await library.call('POST', '/reindex', {
      body: { pipeline: { chunking: { targetChars: 300, maxChars: 400 } } },
    });
    expect(begun).toMatchObject({
      status: 202,
      body: { status: 'running', estimate: null, version: null, error: null, endedAt: null },
    });
    expect(begun.body.pipeline).toMatchObject({
      chunking: { targetChars: 300, maxChars: 400 },
      embedding: { model: 'scripted' },
      language: 'auto',
    });
    await service.settle();
    const done = await state(begun.body.id);
    expect(done).toMatchObject({ status: 'completed', version: 3, progress: { done: 2, total: 2 }, estimate: null });
    const { total, reused, embedded } = done.receipt.chunks;
    expect([reused, reused + embedded]).toEqual([1, total]);
    expect(model.asked.flat()).toHaveLength(embedded);
    expect(model.asked.flat().join()).not.toContain('27 days');
    expect(await version(3)).toMatchObject({
      parent: 2,
      status: 'active',
      cause: { kind: 'reindex', reindexId: begun.body.id },
      stats: { documents: 2, chunks: total },
      receipt: { chunks: { total, reused, embedded } },
    });
    expect((await pipeline()).chunking).toEqual({ targetChars: 300, maxChars: 400 });
    expect(await events('reindex.completed')).toMatchObject([{ reindexId: begun.body.id, version: 3 }]);
    const found = await library.search('salary wages', { mode: 'keyword' });
    expect(found.results.every(({ text }: { text: string }) => text.length <= 400)).toBe(true);
    // What was remembered of a chunk of the old index is not taken for the one at its place in the new one.
    const letters = service.part(Letters) as unknown as { profiles: { clear(): void }; statistics: object };
    letters.profiles.clear();
    letters.statistics = new WeakMap();
    expect((await library.search('salary wages', { mode: 'keyword' })).results).toEqual(found.results);
    const before = await library.search('salary wages', { mode: 'keyword', version: 2 });
    expect(before.results[0].text.length).toBeGreaterThan(400);
    expect((await library.call('GET', '/versions/2...3')).body).toMatchObject({ added: [], changed: [], removed: [] });
    expect((await library.call('GET', '/reindexes')).body.data).toHaveLength(1);
  });

  it('is left with the version before, and uploads are cut as that one was', async () => {
    await library.publish(leave);
    const usual = (await pipeline()).chunking;
    await reindex({ chunking: { targetChars: 200, maxChars: 300 } });
    await service.settle();
    expect(await library.activeVersion()).toBe(2);
    await library.publish(trains);
    await library.activate(1);
    expect((await pipeline()).chunking).toEqual(usual);
    await library.publish(long);
    expect((await library.finds('leave railway salary', { mode: 'keyword' })).sort()).toEqual(['leave', 'long']);
    expect((await version(4)).receipt.chunks.total).toBeLessThan(5);
    await library.activate(3);
    expect((await pipeline()).chunking).toEqual({ targetChars: 200, maxChars: 300 });
    expect((await library.finds('leave railway salary', { mode: 'keyword' })).sort()).toEqual(['leave', 'trains']);
    await library.publish({ ...long, content: `${long.content} New.` });
    expect((await library.finds('leave railway salary', { mode: 'keyword' })).sort()).toEqual([
      'leave',
      'long',
      'trains',
    ]);
    expect((await version(5)).receipt.chunks.total).toBeGreaterThan(5);
  });
});

it('another language reads words, titles too, by its own rules, and buys no vector', async () => {
  library = await openLibrary(service, { pipeline: { language: 'en' } });
  await library.publish({
    externalId: 'haus',
    title: 'Kündigungsfristen',
    content: 'In den alten Häusern wohnt niemand.',
  });
  const asks = { mode: 'keyword', rank: { understand: false } };
  expect(await library.finds('Haus', asks)).toEqual([]);
  const { id } = await reindex({ language: 'de' });
  await service.settle();
  expect(await state(id)).toMatchObject({
    status: 'completed',
    receipt: { chunks: { total: 1, reused: 1, embedded: 0 } },
  });
  expect(await library.finds('Haus', asks)).toEqual(['haus']);
  expect(await library.finds('Kündigungsfrist', asks)).toEqual(['haus']);
  await library.activate(1);
  await service.settle();
  expect(await library.finds('Haus', asks)).toEqual([]);
  expect(await library.finds('Kündigungsfrist', asks)).toEqual([]);
  expect(await library.finds('Häusern', asks)).toEqual(['haus']);
});

/** Of one passage of the usual size, and of two of a hundred characters. */
const rule = (n: number | string) =>
  `Holiday rule ${n} of the office is told to whoever comes to work in it.
It holds from January on, and whoever has another wish writes a letter.`;

describe('another model', () => {
  it('reads no file again, and needs none to be there', async () => {
    let parses = 0;
    const stop = every('parse.begun', () => Promise.resolve((parses += 1)));
    await library.publish(leave);
    await library.publish(trains);
    expect(parses).toBe(2);
    await removeBytes();
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    stop();
    expect([parses, (await state(id)).status]).toEqual([2, 'completed']);
    expect(await library.finds('annual leave', { mode: 'semantic' })).toContain('leave');
  });

  it('takes over with what changed meanwhile, and no question fails or is answered from both', async () => {
    for (let n = 0; n < 6; n++) await library.upload({ externalId: `d${n}`, content: rule(n) });
    await service.settle();
    const before = await library.activeVersion();
    const stop = poll('holiday rule office');
    const ids = Object.fromEntries(
      (await library.list('?limit=50')).data.map((each: { externalId: string; id: string }) => [
        each.externalId,
        each.id,
      ]),
    );
    const during: number[] = [];
    afterBuilding(3, async () => {
      await library.upload({ externalId: 'new', content: rule('new') });
      await library.upload({ externalId: 'd1', content: rule('1 (edited)') });
      await library.call('DELETE', `/documents/${ids['d0']}`);
      await library.call('POST', `/documents/${ids['d5']}/unpublish`);
      await service.settle();
      during.push(await library.activeVersion());
    });
    const { id } = await reindex({
      embedding: { model: lexical },
      chunking: { targetChars: 100, maxChars: 100 },
    });
    await service.settle();
    const done = await state(id);
    expect(done).toMatchObject({ status: 'completed', progress: { done: 5, total: 5 } });
    expect(during[0]).toBeGreaterThan(before);
    expect(done.version).toBe((during[0] ?? 0) + 1);
    expect((await indexes()).map(({ dimensions }) => dimensions)).toEqual([4, 384]);
    const found = async () => (await library.finds('holiday rule office', { topK: 20 })).sort();
    expect(await found()).toEqual(['d1', 'd2', 'd3', 'd4', 'new']);
    expect(await library.says('holiday rule office')).toContain('edited');
    expect((await version(done.version)).stats).toEqual({ documents: 5, chunks: 10 });
    expect(await alike()).toBe(0);

    await library.publish({ externalId: 'after', content: rule('after') });
    expect(await found()).toContain('after');
    model.asked.length = 0;
    await library.activate(before);
    expect(await found()).toEqual(['d1', 'd2', 'd3', 'd4', 'd5']);
    expect(await library.search('vacation', { mode: 'semantic' })).toMatchObject({ version: before, degraded: [] });
    expect(model.asked.flat()).toContain('vacation');
    expect((await pipeline()).embedding.model).toBe('scripted');
    await library.activate(done.version + 1);
    expect((await pipeline()).embedding.model).toBe(lexical);
    expect(await found()).toContain('after');
    const { failures, versions, answers } = await stop();
    expect(failures).toEqual([]);
    expect(answers).toBeGreaterThan(10);
    expect(versions.size).toBeGreaterThan(2);
  });

  it('follows a rollback that comes while it is built', async () => {
    await library.publish(leave);
    await library.publish({ ...leave, content: 'Every employee has 30 days of annual leave.' });
    await library.publish(trains);
    afterBuilding(1, () => library.activate(1));
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', version: 4, progress: { done: 1, total: 1 } });
    expect(await library.finds('leave railway')).toEqual(['leave']);
    expect(await library.says('leave')).toContain('27 days');
    expect(await version(4)).toMatchObject({ parent: 1, stats: { documents: 1, chunks: 1 } });
    const stored = await rows(
      'select 1 from chunk c join version v on v.index_id = c.index_id where v.knowledge_base_id = $1 and v.number = 4',
      [uuid()],
    );
    expect(stored).toHaveLength(1);
  });

  it('follows what is published when all was built and compared, while a sync is open', async () => {
    await library.publish(leave);
    const { id: travel } = await library.publish(trains);
    const { id: syncId } = (await library.call('POST', '/syncs')).body;
    once('reindex.compared', async () => {
      for (let n = 0; n < 3; n++)
        await library.upload({ externalId: `held ${n}`, content: `A plane is late, ${n}.`, syncId });
      await library.upload({ ...leave, content: 'Every employee has 30 days of annual leave.' });
      await library.call('POST', `/documents/${travel}/unpublish`);
      await service.settle();
    });
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    const { status, version: number } = await state(id);
    expect([status, (await version(number)).stats]).toEqual(['completed', { documents: 1, chunks: 1 }]);
    expect(await library.says('leave')).toContain('30 days');
    expect(await library.finds('leave railway plane', { mode: 'keyword' })).toEqual(['leave']);
    await library.call('POST', `/syncs/${syncId}/commit`, { body: {} });
    await service.settle();
    expect((await version(await library.activeVersion())).stats).toEqual({ documents: 4, chunks: 4 });
  });

  it('publishes on the active version after a rollback across both, whatever the abandoned ones showed', async () => {
    await library.publish(leave);
    await library.publish(trains);
    await library.activate(1);
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await library.activate(1);
    await library.publish({ externalId: 'pay', content: 'The salary is paid in May.' });
    expect((await library.finds('leave railway salary', { mode: 'keyword' })).sort()).toEqual(['leave', 'pay']);
    await library.activate(0);
    await library.publish({ externalId: 'last', content: 'A salary is not leave.' });
    expect(await library.finds('leave railway salary', { mode: 'keyword' })).toEqual(['last']);
  });

  it('goes on to the empty version 0 of a base that had another index after it', async () => {
    await library.publish(leave);
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await library.activate(0);
    expect(await library.search('leave')).toMatchObject({ version: 0, results: [] });
    await library.publish(trains);
    expect(await library.finds('leave railway', { mode: 'keyword' })).toEqual(['trains']);
    expect((await version(3)).stats).toEqual({ documents: 1, chunks: 1 });
  });

  it('of a base where nothing was published yet is that of the first upload', async () => {
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await library.publish(leave);
    expect((await indexes()).map(({ dimensions }) => dimensions)).toEqual([384]);
    expect(await library.finds('annual leave')).toEqual(['leave']);
  });
});

describe('what is on its way while another index takes over', () => {
  it('is cut again from its stored text when it was staged for the old one', async () => {
    await library.publish(leave);
    once('vectors.had', async () => {
      await reindex({ embedding: { model: lexical } });
      await service.settle();
      expect((await pipeline()).embedding.model).toBe(lexical);
      await removeBytes();
    });
    const document = await library.publish(trains);
    expect(document).toMatchObject({ status: 'ready', title: expect.any(String), receipt: { chunks: { total: 1 } } });
    expect((await library.finds('leave railway', { mode: 'keyword' })).sort()).toEqual(['leave', 'trains']);
    expect(await library.search('railway', { mode: 'semantic' })).toMatchObject({ degraded: [] });
    const types = (await service.call('GET', '/v1/events?limit=50')).body.data
      .filter((event: { data: { documentId?: string } }) => event.data.documentId === document.id)
      .map(({ type }: { type: string }) => type);
    expect(types.toSorted()).toEqual(['document.processing', 'document.queued', 'document.ready']);
  });

  it('is in both where a sync holds it, and follows a rollback when that commits', async () => {
    await library.publish(leave);
    const sync = (await library.call('POST', '/syncs')).body;
    await library.upload({ ...trains, syncId: sync.id });
    await service.settle();
    await reindex({ embedding: { model: lexical } });
    await library.upload({ externalId: 'late', content: 'A plane is late.', syncId: sync.id });
    await service.settle();
    expect(await library.finds('leave railway plane', { mode: 'keyword' })).toEqual(['leave']);
    await library.upload({ externalId: 'later', content: 'A plane is later.', syncId: sync.id });
    await service.settle();
    await library.activate(1);
    await library.call('POST', `/syncs/${sync.id}/commit`, { body: {} });
    await service.settle();
    expect(await library.call('GET', `/syncs/${sync.id}`)).toMatchObject({
      body: { status: 'completed', version: 3, outcome: { published: 3 } },
    });
    expect((await library.finds('leave railway plane', { mode: 'keyword' })).sort()).toEqual([
      'late',
      'later',
      'leave',
      'trains',
    ]);
    expect(await library.search('vacation', { mode: 'semantic' })).toMatchObject({ version: 3, degraded: [] });
  });
});
