import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { every, once } from '../faults/crossings.js';
import { made } from './callers.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

const lexical = 'lectern-lexical-384';

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

const leave = { externalId: 'leave', content: 'Every employee has 27 days of annual leave.' };
const trains = { externalId: 'trains', content: 'A railway ticket is booked by the office.' };
const words = (about: string) => Array.from({ length: 60 }, (_, n) => `${about} ${n}.`).join(' ');
const long = { externalId: 'long', content: `# Holidays\n\n${words('Item')}\n\n## Wages\n\n${words('Salary')}` };

const reindex = async (pipeline: object) => made(await library.call('POST', '/reindex', { body: { pipeline } }));
const state = async (id: string) => (await library.call('GET', `/reindexes/${id}`)).body;
const version = async (number: number) => (await library.call('GET', `/versions/${number}`)).body;
const pipeline = async () => (await library.call('GET', '')).body.pipeline;
const events = async (type: string) =>
  (await service.call('GET', '/v1/events?limit=50')).body.data
    .filter((event: { type: string; data: { knowledgeBaseId: string } }) => event.type === type)
    .map((event: { data: object }) => event.data)
    .filter((data: { knowledgeBaseId: string }) => data.knowledgeBaseId === library.base);

const rows = <T>(sql: string, parameters: unknown[] = []) =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const uuid = () => library.base.slice('kb_'.length);
const indexes = () =>
  rows<{ id: number; dimensions: number }>(
    'select id, dimensions from knowledge_index where knowledge_base_id = $1 order by id',
    [uuid()],
  );

/** Lets a reindex that waits after a failure go on at once. */
const waitIsOver = () =>
  rows('update reindex set lease_expires_at = now() where knowledge_base_id = $1 returning id', [uuid()]);

/** Does something when so many revisions are built, in the middle of the reindex. */
function afterBuilding(count: number, deed: () => Promise<unknown>): void {
  let built = 0;
  const stop = every('reindex.revision-built', async () => {
    if (++built < count) return;
    stop();
    await deed();
  });
}

/** Asks the same without a pause until told to stop. @returns what was wrong with any answer, and which versions answered */
function poll(query: string) {
  const state = { stopped: false, failures: [] as string[], versions: new Set<number>(), answers: 0 };
  const asked = new Map<number, Set<string>>();
  const reading = (async () => {
    while (!state.stopped) {
      const { status, body } = await library.call('POST', '/search', { body: { query, topK: 20 } });
      state.answers += 1;
      if (status !== 200 || body.degraded.length > 0 || body.results.length === 0) {
        state.failures.push(`${status}: ${JSON.stringify(body).slice(0, 300)}`);
        continue;
      }
      state.versions.add(body.version);
      const texts = asked.get(body.version) ?? new Set();
      for (const { document, text } of body.results) texts.add(`${document.id.slice(4)} ${text}`);
      asked.set(body.version, texts);
    }
  })();
  return async () => {
    state.stopped = true;
    await reading;
    for (const [number, texts] of asked) {
      const shown = await rows<{ row: string }>(
        `select c.document_id || ' ' || c.text as row from version v join chunk c on c.index_id = v.index_id and c.visible @> v.number
         where v.knowledge_base_id = $1 and v.number = $2`,
        [uuid(), number],
      );
      // Of a document deleted since nothing is left to compare with.
      const deleted = await rows<{ id: string }>(
        'select id from document where knowledge_base_id = $1 and deleted_at is not null',
        [uuid()],
      );
      for (const text of texts) if (deleted.some(({ id }) => text.startsWith(id))) texts.delete(text);
      const all = new Set(shown.map(({ row }) => row));
      for (const text of texts) if (!all.has(text)) state.failures.push(`version ${number} does not show: ${text}`);
    }
    return state;
  };
}

describe('another chunk size', () => {
  it('is built from stored texts, with the vectors of equal text, and answers when all of it is there', async () => {
    library = await openLibrary(service, { pipeline: { chunking: { targetChars: 4000, maxChars: 4000 } } });
    await library.publish(leave);
    await library.publish(long);
    await rm(join(service.dataDir, 'blobs'), { recursive: true, force: true });
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

describe('another model', () => {
  it('takes over with what changed meanwhile, and no question fails or is answered from both', async () => {
    for (let n = 0; n < 6; n++)
      await library.publish({ externalId: `d${n}`, content: `Holiday rule ${n} of the office.` });
    const stop = poll('holiday rule office');
    const ids = Object.fromEntries(
      (await library.list('?limit=50')).data.map((each: { externalId: string; id: string }) => [
        each.externalId,
        each.id,
      ]),
    );
    const during: number[] = [];
    afterBuilding(3, async () => {
      await library.upload({ externalId: 'new', content: 'Holiday rule that is new in the office.' });
      await library.upload({ externalId: 'd1', content: 'Holiday rule 1 of the office, edited.' });
      await library.call('DELETE', `/documents/${ids['d0']}`);
      await library.call('POST', `/documents/${ids['d5']}/unpublish`);
      await service.settle();
      during.push(await library.activeVersion());
    });
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    const done = await state(id);
    expect(done).toMatchObject({ status: 'completed', progress: { done: 5, total: 5 } });
    expect(during[0]).toBeGreaterThan(6);
    expect(done.version).toBe((during[0] ?? 0) + 1);
    expect((await indexes()).map(({ dimensions }) => dimensions)).toEqual([4, 384]);
    const found = async () => (await library.finds('holiday rule office', { topK: 20 })).sort();
    expect(await found()).toEqual(['d1', 'd2', 'd3', 'd4', 'new']);
    expect(await library.says('holiday rule office')).toContain('edited');
    expect((await version(done.version)).stats).toEqual({ documents: 5, chunks: 5 });

    await library.publish({ externalId: 'after', content: 'Holiday rule from after the change of the office.' });
    expect(await found()).toContain('after');
    model.asked.length = 0;
    await library.activate(6);
    expect(await found()).toEqual(['d1', 'd2', 'd3', 'd4', 'd5']);
    expect(await library.search('vacation', { mode: 'semantic' })).toMatchObject({ version: 6, degraded: [] });
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
      await rm(join(service.dataDir, 'blobs'), { recursive: true, force: true });
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

describe('a reindex', () => {
  const fill = async () => {
    for (let n = 0; n < 5; n++) await library.upload({ externalId: `d${n}`, content: `Holiday rule ${n}.` });
    await service.settle();
    return library.activeVersion();
  };

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
    const before = await fill();
    const own = await indexes();
    let id = '';
    let second = 0;
    afterBuilding(2, async () => {
      second = (await indexes()).at(-1)?.id ?? 0;
      expect(await library.call('POST', `/reindexes/${id}/cancel`)).toMatchObject({
        status: 200,
        body: { status: 'cancelled' },
      });
    });
    ({ id } = await reindex({ embedding: { model: lexical } }));
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
    expect(await library.finds('holiday rule')).not.toEqual([]);
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
    let seen = '';
    afterBuilding(1, async () => {
      await library.upload({ externalId: 'urgent', content: 'An urgent holiday.' });
      await rows(`update revision set created_at = now() - interval '2 seconds' where status = 'queued' returning id`);
      afterBuilding(1, async () => (seen = (await library.list('?externalId=urgent')).data[0].status));
    });
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(['staged', 'ready']).toContain(seen);
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
    expect((await indexes()).map(({ dimensions }) => dimensions)).toEqual([4]);
  });
});
