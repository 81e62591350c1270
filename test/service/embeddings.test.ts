import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

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

const vectors = async () => {
  const row = await service
    .database()
    .asOwner((tx) =>
      tx.row<{ count: string }>(
        `select count(*) from chunk_vector v join knowledge_index i on i.id = v.index_id where i.knowledge_base_id = $1`,
        [library.base.slice('kb_'.length)],
      ),
    );
  return Number(row?.count);
};

/** The right vectors, each changed. */
const spoil = (change: (vector: unknown[]) => unknown[]) => (texts: string[]) =>
  byMeaning(texts).map((vector) => change(vector));

describe('a configured embedding model', () => {
  it('finds by meaning what no word of the question names', async () => {
    await library.publish(leave);
    await library.publish(trains);
    expect(await library.finds('vacation', { mode: 'keyword' })).toEqual([]);
    const found = await library.search('vacation', { mode: 'semantic' });
    expect(found).toMatchObject({
      mode: 'semantic',
      degraded: [],
      results: [{ document: { externalId: 'leave' } }, { document: { externalId: 'trains' } }],
    });
    expect(found.results[0].signals.semantic).toBeCloseTo(1, 5);
    expect((await library.finds('vacation'))[0]).toBe('leave');
    expect((await library.call('GET', '')).body.pipeline.embedding.model).toBe('scripted');
  });

  it('is not asked again for text that this base has already', async () => {
    await library.publish(leave);
    model.asked.length = 0;
    const twin = await library.publish({ ...leave, externalId: 'twin' });
    expect(model.asked).toEqual([]);
    expect(twin.receipt).toMatchObject({ chunks: { reused: 1, embedded: 0 }, tokensEmbedded: 0 });
  });

  it('is tried again when it was down, and the document becomes ready when it is back', async () => {
    model.answer = () => ({ status: 503 });
    const { body } = await library.upload(leave);
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'queued', error: null, activeRevision: null });
    model.answer = byMeaning;
    await library.waitIsOver(body.id);
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'ready', revision: { number: 1 } });
    expect(await vectors()).toBe(1);
  });

  it('that refuses its key fails a document at once, and a retry helps when that is mended', async () => {
    model.answer = () => ({ status: 401 });
    const document = await library.publish(leave);
    expect(document).toMatchObject({ status: 'failed', error: { code: 'embedding_refused', retryable: true } });
    model.answer = byMeaning;
    await library.call('POST', `/documents/${document.id}/retry`);
    await service.settle();
    expect(await library.get(document.id)).toMatchObject({ status: 'ready', error: null });
  });
});

describe('a bad vector', () => {
  it.each<[string, (texts: string[]) => unknown[][]]>([
    ['null, which is how JSON writes NaN', spoil(([, ...rest]) => [null, ...rest])],
    ['a number too large to be one', spoil(([, ...rest]) => [1.7e308, 1.7e308, ...rest.slice(1)])],
    ['a text', spoil(([, ...rest]) => ['1', ...rest])],
    ['one number too many', spoil((vector) => [...vector, 0.5])],
    ['nothing but zeros', spoil((vector) => vector.map(() => 0))],
  ])('is never stored: %s', async (_name, answer) => {
    await library.publish(trains);
    model.answer = answer;
    const document = await library.publish(leave);
    expect(document).toMatchObject({ status: 'failed', error: { code: 'bad_embedding', retryable: true } });
    expect(await vectors()).toBe(1);
    expect(await library.finds('leave railway', { mode: 'keyword' })).toEqual(['trains']);
  });

  it('does not come from an answer with fewer vectors than texts', async () => {
    await library.publish(trains);
    model.answer = (texts) => byMeaning(texts).slice(1);
    const document = await library.publish(leave);
    expect(document).toMatchObject({ status: 'failed', error: { code: 'bad_embedding', retryable: true } });
    expect(await vectors()).toBe(1);
  });

  it('for a question is no answer either: the search says that it went by keyword', async () => {
    await library.publish(leave);
    for (const answer of [spoil((vector) => vector.slice(1)), spoil(([, ...rest]) => [null, ...rest]), () => []]) {
      model.answer = answer;
      expect(await library.search('annual leave')).toMatchObject({
        mode: 'keyword',
        degraded: ['semantic'],
        results: [{ document: { externalId: 'leave' } }],
      });
    }
  });
});

describe('an embedding model that is down', () => {
  it.each([503, 429, 401])('leaves keyword search, marked so: status %i', async (status) => {
    await library.publish(leave);
    model.answer = () => ({ status });
    for (const mode of ['hybrid', 'semantic']) {
      const found = await library.search('annual leave', { mode });
      expect(found).toMatchObject({
        mode: 'keyword',
        degraded: ['semantic'],
        results: [{ document: { externalId: 'leave' } }],
      });
    }
    expect(await library.search('annual leave', { mode: 'keyword' })).toMatchObject({ degraded: [] });
  });
});
