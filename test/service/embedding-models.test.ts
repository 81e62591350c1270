import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Asked, byMeaning, startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { leave, lexical, reindexing, trains } from './reindexing.js';

let server: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: Service;
let library: Library;
const wishes = new Set<string>();

/** The old model gives four numbers; the new one gives eight, or as many as it is asked for. */
function byModel(texts: string[], { model, dimensions }: Asked): number[][] {
  wishes.add(`${model} ${dimensions ?? 'own'}`);
  const vectors = byMeaning(texts);
  if (model === 'old') return vectors;
  return vectors.map((vector) => [...vector, 0.1, 0.1, 0.1, 0.1].slice(0, dimensions));
}

beforeAll(async () => {
  server = await startEmbeddingServer(byModel);
  service = await startService({ env: { ...server.env, EMBEDDING_MODEL: 'new, old' } });
});
afterAll(async () => {
  await service.stop();
  server.stop();
});

const { rows, reindex, state, pipeline, indexes } = reindexing(() => ({ service, library }));
const sizes = async () => (await indexes()).map(({ dimensions }) => dimensions);

/** What the model alone can know: neither question shares a word with its document. */
async function knowsMeanings() {
  for (const [question, document] of [
    ['vacation', 'leave'],
    ['plane', 'trains'],
  ]) {
    const found = await library.search(question ?? '', { mode: 'semantic' });
    expect(found).toMatchObject({ degraded: [], results: [{ document: { externalId: document } }, {}] });
  }
}

describe('of the models behind one address', () => {
  it('the first is what a base is made with, and one takes over from another and gives back', async () => {
    library = await openLibrary(service, { pipeline: { embedding: { model: 'old' } } });
    await library.publish(leave);
    await library.publish(trains);
    await knowsMeanings();
    const { id } = await reindex({ embedding: { model: 'new' } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', receipt: { chunks: { embedded: 2, reused: 0 } } });
    expect([await pipeline(), await sizes()]).toMatchObject([{ embedding: { model: 'new' } }, [4, 8]]);
    await knowsMeanings();
    await library.activate(2);
    expect(await pipeline()).toMatchObject({ embedding: { model: 'old' } });
    await knowsMeanings();
    library = await openLibrary(service);
    expect(await pipeline()).toMatchObject({ embedding: { model: 'new' } });
  });
});

/** Writes a vector of so many numbers past the service. */
const write = (index: number | undefined, numbers: number) =>
  rows(
    `insert into chunk_vector (index_id, chunk_id, tenant_id, revision_id, embedding)
     select index_id, gen_random_uuid(), tenant_id, revision_id, array_fill(1, array[$2::int])::vector
     from chunk_vector where index_id = $1 returning 1`,
    [index, numbers],
  );

describe('how many numbers a vector has', () => {
  it('is as the base says, for its documents and for its questions, and another number is another index', async () => {
    wishes.clear();
    library = await openLibrary(service, { pipeline: { embedding: { model: 'new', dimensions: 6 } } });
    await library.publish(leave);
    await library.publish(trains);
    await knowsMeanings();
    expect([...wishes]).toEqual(['new 6']);
    expect(await pipeline()).toMatchObject({ embedding: { model: 'new', dimensions: 6 } });
    await reindex({ embedding: { dimensions: 5 } });
    await service.settle();
    expect([await pipeline(), await sizes()]).toMatchObject([{ embedding: { model: 'new', dimensions: 5 } }, [6, 5]]);
    await knowsMeanings();
    await reindex({ embedding: { model: 'new' } });
    await service.settle();
    expect([await pipeline(), await sizes()]).toEqual([
      expect.objectContaining({ embedding: { model: 'new' } }),
      [6, 5, 8],
    ]);
    await knowsMeanings();
  });

  it('is that of the index for whoever writes to it: its table takes no other', async () => {
    library = await openLibrary(service, { pipeline: { embedding: { model: 'old' } } });
    await library.publish(leave);
    await reindex({ embedding: { model: 'new' } });
    await service.settle();
    const [four, eight] = (await indexes()).map(({ id }) => id);
    for (const [index, numbers] of [
      [four, 8],
      [four, 3],
      [eight, 4],
    ])
      await expect(write(index, numbers ?? 0)).rejects.toMatchObject({ code: '23514' });
    expect([await write(four, 4), await write(eight, 8)]).toMatchObject([[{}], [{}]]);
  });

  it('of a model that does not heed it ends the reindex with the reason, and what was there answers', async () => {
    library = await openLibrary(service, { pipeline: { embedding: { model: 'old' } } });
    await library.publish(leave);
    await library.publish(trains);
    const { id } = await reindex({ embedding: { dimensions: 3 } });
    await service.settle();
    expect(await state(id)).toMatchObject({
      status: 'paused',
      error: { code: 'bad_embedding', message: expect.stringContaining('vectors of 4 numbers where 3 are needed') },
    });
    expect(await sizes()).toEqual([4]);
    await knowsMeanings();
  });
});

async function make(embedding: object) {
  const { status, body } = await service.call('POST', '/v1/knowledge-bases', {
    body: { name: `for ${JSON.stringify(embedding)}`, pipeline: { embedding } },
  });
  return [status, body.errors?.[0]?.field ?? body.pipeline.embedding];
}

it('a model that nobody is configured for, or not with so many numbers, is refused', async () => {
  expect(await make({ model: 'nobody' })).toEqual([422, 'pipeline.embedding.model']);
  expect(await make({ model: lexical, dimensions: 100 })).toEqual([422, 'pipeline.embedding.model']);
  expect(await make({ model: lexical, dimensions: 384 })).toEqual([201, { model: lexical, dimensions: 384 }]);
  expect(await make({ dimensions: 7 })).toEqual([201, { model: 'new', dimensions: 7 }]);
  expect(await make({ dimensions: 0 })).toEqual([400, 'pipeline.embedding.dimensions']);
});
