import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byMeaning, startEmbeddingServer } from '../service/embedding-server.js';
import { type OwnService, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: OwnService;
let library: Library;

beforeAll(async () => {
  model = await startEmbeddingServer();
  service = await startService({ env: model.env });
  library = await openLibrary(service);
  await library.publish({ externalId: 'leave', content: 'Every employee has 27 days of annual leave.' });
});
afterAll(async () => {
  await service.stop();
  model.stop();
});

/** The sizes of all vectors of the base, each once, with the model they are said to come from. */
const sizes = () =>
  service.database().asOwner((tx) =>
    tx.rows(
      `select distinct vector_dims(v.embedding) as size, i.embedding_model as model
         from chunk_vector v join knowledge_index i on i.id = v.index_id where i.knowledge_base_id = $1`,
      [library.base.slice('kb_'.length)],
    ),
  );

const asBuilt = [{ size: 4, model: 'scripted' }];

/** How a question and a new document fare. */
async function standing(externalId: string) {
  const { mode, degraded, results } = await library.search('annual leave');
  const { status, error } = await library.publish({ externalId, content: 'A railway ticket is booked by the office.' });
  return { mode, degraded, found: results.length, status, error, sizes: await sizes() };
}

/** By keyword, which is said; the document is refused with this code; nothing is mixed into the index. */
const keepsItsModel = (code: string) => ({
  mode: 'keyword',
  degraded: ['semantic'],
  found: 1,
  status: 'failed',
  error: { code, retryable: true, message: expect.stringMatching(/^[A-Z].{20,}\.$/) },
  sizes: asBuilt,
});

describe('a service that is started again on the same data', () => {
  it('144: with another model never mixes its vectors into the index, and new bases use it', async () => {
    await service.restart({ ...model.env, EMBEDDING_MODEL: 'another' });
    expect(await standing('other')).toEqual(keepsItsModel('model_unavailable'));
    const other = await openLibrary(service);
    await other.publish({ externalId: 'leave', content: 'Every employee has 27 days of annual leave.' });
    expect(await other.search('vacation')).toMatchObject({ mode: 'hybrid', degraded: [] });
  });

  it('144: without a model is the same: the built-in vectors do not stand in for its own', async () => {
    await service.restart();
    expect(await standing('none')).toEqual(keepsItsModel('model_unavailable'));
  });

  it('144: with the same name but vectors of another size asks for the base to be built anew', async () => {
    model.answer = (texts) => byMeaning(texts).map((vector) => [...vector, 0.5]);
    await service.restart(model.env);
    expect(await standing('larger')).toEqual(keepsItsModel('reindex_needed'));
  });

  it('144: with its own model back is whole, and what failed meanwhile can be tried again', async () => {
    model.answer = byMeaning;
    await service.restart(model.env);
    expect(await library.search('vacation')).toMatchObject({ mode: 'hybrid', degraded: [] });
    const [failed] = (await library.list('?externalId=other')).data;
    await library.call('POST', `/documents/${failed.id}/retry`);
    await service.settle();
    expect(await library.get(failed.id)).toMatchObject({ status: 'ready' });
    expect(await sizes()).toEqual(asBuilt);
  });
});
