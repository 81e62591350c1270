import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { every, once } from '../faults/crossings.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { lexical, leave, long, afterBuilding, reindexing } from './reindexing.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: OwnService;
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

const { poll, rows, reindex, state, version, events, indexes, waitIsOver } = reindexing(() => ({ service, library }));

const fill = async () => {
  for (let n = 0; n < 5; n++) await library.upload({ externalId: `d${n}`, content: `Holiday rule ${n}.` });
  await service.settle();
  return library.activeVersion();
};

describe('a reindex', () => {
  it('is paused, tells how far it is, and goes on where it was', async () => {
    library = await openLibrary(service);
    const before = await fill();
    let id = '';
    let estimate: number | null = null;
    afterBuilding(2, async () => {
      ({ estimate } = await state(id));
      expect(await library.call('POST', `/reindexes/${id}/pause`)).toMatchObject({
        status: 200,
        body: { status: 'paused', progress: { done: 2, total: 5 }, estimate: null },
      });
    });
    ({ id } = await reindex({ chunking: { targetChars: 100, maxChars: 100 }, embedding: { model: lexical } }));
    await service.settle();
    expect(estimate).toBeGreaterThan(0);
    expect(await state(id)).toMatchObject({ status: 'paused', progress: { done: 2, total: 5 } });
    expect(await library.activeVersion()).toBe(before);
    expect(await library.call('POST', `/reindexes/${id}/resume`)).toMatchObject({
      status: 200,
      body: { status: 'running' },
    });
    let built = 0;
    const count = every('reindex.revision-built', () => Promise.resolve((built += 1)));
    await service.settle();
    count();
    expect(built).toBe(3);
    expect(await state(id)).toMatchObject({
      status: 'completed',
      version: before + 1,
      receipt: { chunks: { total: 5 } },
    });
    expect((await library.call('POST', `/reindexes/${id}/pause`)).status).toBe(409);
    expect((await library.call('POST', `/reindexes/${id}/cancel`)).status).toBe(409);
  });

  it('waits while its model is down, and a process that starts anew buys nothing twice', async () => {
    library = await openLibrary(service, { pipeline: { chunking: { targetChars: 4000, maxChars: 4000 } } });
    await fill();
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await rows(
      'delete from chunk_vector v using knowledge_index i where i.id = v.index_id and i.dimensions = 4 returning 1',
    );
    let calls = 0;
    model.answer = (texts) => (texts[0] === 'dimensions' || ++calls <= 2 ? byMeaning(texts) : { status: 503 });
    model.asked.length = 0;
    const { id } = await reindex({ embedding: { model: 'scripted' } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'running', progress: { done: 2, total: 5 } });
    await service.restart(model.env);
    model.answer = byMeaning;
    await waitIsOver();
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', receipt: { chunks: { total: 5, embedded: 5 } } });
    const texts = model.asked.flat().filter((text) => text.startsWith('Holiday'));
    expect(new Set(texts).size).toBe(5);
    // Asked in vain while the model was down, and once more.
    expect(texts).toHaveLength(6);
    expect(await library.search('vacation', { mode: 'semantic' })).toMatchObject({ degraded: [] });
  });

  it('goes on from a revision that it was killed in', async () => {
    library = await openLibrary(service, { pipeline: { chunking: { targetChars: 4000, maxChars: 4000 } } });
    await library.publish(long);
    once('chunks.half-stored', () => Promise.reject(new Error('killed')));
    const { id } = await reindex({ chunking: { targetChars: 300, maxChars: 300 } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'running', progress: { done: 0, total: 1 } });
    await service.restart(model.env);
    await waitIsOver();
    await service.settle();
    const { status, receipt } = await state(id);
    expect(status).toBe('completed');
    const shown = (await library.call('GET', `/documents/${(await library.list()).data[0].id}/chunks?limit=100`)).body
      .data;
    expect(shown).toHaveLength(receipt.chunks.total);
    expect(shown.map(({ text }: { text: string }) => text).join(' ')).toContain('Salary 59.');
  });

  it('leaves nothing behind when it is cancelled', async () => {
    await fill();
    await library.publish(long);
    const before = await library.activeVersion();
    const own = await indexes();
    const stop = poll('holiday rule');
    let id = '';
    let second = 0;
    afterBuilding(2, async () => {
      second = (await indexes()).at(-1)?.id ?? 0;
      expect(await library.call('POST', `/reindexes/${id}/cancel`)).toMatchObject({
        status: 200,
        body: { status: 'cancelled' },
      });
    });
    ({ id } = await reindex({ embedding: { model: lexical }, chunking: { targetChars: 100, maxChars: 100 } }));
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'cancelled', version: null, endedAt: expect.any(String) });
    expect(await indexes()).toEqual(own);
    const left = await rows<{ chunks: string | null; vectors: string | null; segments: number }>(
      `select to_regclass($1)::text as chunks, to_regclass($2)::text as vectors,
         (select count(*)::int from segment where index_id = $3) + (select count(*)::int from posting where index_id = $3) as segments`,
      [`chunk_${second}`, `chunk_vector_${second}`, second],
    );
    expect(left).toEqual([{ chunks: null, vectors: null, segments: 0 }]);
    expect(await events('reindex.failed')).toMatchObject([{ reindexId: id, status: 'cancelled', code: 'cancelled' }]);
    expect(await library.activeVersion()).toBe(before);
    expect((await stop()).failures).toEqual([]);
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(await library.activeVersion()).toBe(before + 1);
  });

  it('fails with the document that cannot be built so, and what is served goes on', async () => {
    library = await openLibrary(service);
    await fill();
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    const { id: document } = await library.publish({ externalId: 'bad', content: 'An unspeakable text.' });
    model.answer = (texts) => (texts.some((text) => text.includes('unspeakable')) ? { status: 400 } : byMeaning(texts));
    const { id } = await reindex({ embedding: { model: 'scripted' } });
    await service.settle();
    const failed = await state(id);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'passage_refused' } });
    expect(failed.error.message).toContain(document);
    expect(await events('reindex.failed')).toMatchObject([
      { reindexId: id, status: 'failed', code: 'passage_refused' },
    ]);
    expect(await indexes()).toHaveLength(2);
    expect(await library.finds('unspeakable', { mode: 'keyword' })).toEqual(['bad']);
  });

  it('is paused with the reason when a person can mend it', async () => {
    await fill();
    await reindex({ embedding: { model: lexical } });
    await service.settle();
    await rows(
      'delete from chunk_vector v using knowledge_index i where i.id = v.index_id and i.dimensions = 4 returning 1',
    );
    model.answer = () => ({ status: 401 });
    const { id } = await reindex({ embedding: { model: 'scripted' } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'paused', error: { code: 'embedding_refused' } });
    model.answer = byMeaning;
    await library.call('POST', `/reindexes/${id}/resume`);
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', error: null });
  });

  it('is refused when nothing would differ, while another one is not done, or for what nobody knows', async () => {
    await library.publish(leave);
    const ask = async (body: object) => {
      const answer = await library.call('POST', '/reindex', { body });
      return [answer.status, answer.body.code];
    };
    expect(await ask({})).toEqual([409, 'conflict']);
    expect(await ask({ pipeline: { chunking: { targetTokens: 275, maxTokens: 325 }, language: 'auto' } })).toEqual([
      409,
      'conflict',
    ]);
    expect(await ask({ pipeline: { embedding: { model: 'nobody' } } })).toEqual([422, 'unprocessable']);
    expect(await ask({ pipeline: { language: 'xx' } })).toEqual([422, 'unprocessable']);
    expect(await ask({ pipeline: { chunking: { targetTokens: 100, maxChars: 100 } } })).toEqual([
      400,
      'validation_failed',
    ]);
    expect(await ask({ pipeline: { language: 'de' } })).toEqual([202, undefined]);
    expect(await ask({ pipeline: { language: 'fr' } })).toEqual([409, 'conflict']);
    await service.settle();
    expect(await ask({ pipeline: { language: 'de' } })).toEqual([409, 'conflict']);
  });

  it('stands back for uploads that wait', async () => {
    await fill();
    let waited = '';
    afterBuilding(1, async () => {
      await library.upload({ externalId: 'urgent', content: 'An urgent holiday.' });
      await rows(`update revision set created_at = now() - interval '2 seconds' where status = 'queued' returning id`);
      afterBuilding(1, async () => (waited = (await library.list('?externalId=urgent')).data[0].status));
    });
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(['staged', 'ready']).toContain(waited);
    expect(await state(id)).toMatchObject({ status: 'completed', progress: { done: 6, total: 6 } });
    expect((await version(await library.activeVersion())).stats.documents).toBe(6);
    expect(await library.finds('urgent holiday')).toContain('urgent');
  });

  it('of a base that is deleted ends with it', async () => {
    await fill();
    afterBuilding(2, () => service.call('DELETE', `/v1/knowledge-bases/${library.base}`));
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    const [row] = await rows<{ status: string }>('select status from reindex where id = $1', [id.slice(4)]);
    expect(row).toEqual({ status: 'cancelled' });
    expect(await indexes()).toEqual([]);
  });
});
