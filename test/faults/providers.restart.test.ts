import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byMeaning, startEmbeddingServer } from '../service/embedding-server.js';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: Service;
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

/** The sizes of all vectors of the base, each once. */
const sizes = () =>
  service.database().asOwner((tx) =>
    tx.rows(
      `select distinct vector_dims(v.embedding) as size, i.embedding_model as model
         from chunk_vector v join knowledge_index i on i.id = v.index_id where i.knowledge_base_id = $1`,
      [library.base.slice('kb_'.length)],
    ),
  );

const asBuilt = [{ size: 4, model: 'scripted' }];

/** A question is answered by keyword and says so; what was there is found, and a new document ends with `code`. */
async function staysWithItsModel(code: string): Promise<void> {
  expect(await library.search('annual leave')).toMatchObject({
    mode: 'keyword',
    degraded: ['semantic'],
    results: [{ document: { externalId: 'leave' } }],
  });
  const document = await library.publish({ externalId: code, content: 'A railway ticket is booked by the office.' });
  expect(document).toMatchObject({ status: 'failed', error: { code, retryable: true } });
  expect(document.error.message).toMatch(/^[A-Z].{20,}\.$/);
  expect(await sizes()).toEqual(asBuilt);
}

describe('a service that is started again on the same data', () => {
  it('144: with another model never mixes its vectors into the index, and new bases use it', async () => {
    await service.restart({ ...model.env, EMBEDDING_MODEL: 'another' });
    await staysWithItsModel('model_unavailable');
    const other = await openLibrary(service);
    await other.publish({ externalId: 'leave', content: 'Every employee has 27 days of annual leave.' });
    expect(await other.search('vacation')).toMatchObject({ mode: 'hybrid', degraded: [] });
  });

  it('144: without a model is the same: the built-in vectors do not stand in for its own', async () => {
    await service.restart();
    await staysWithItsModel('model_unavailable');
  });

  it('144: with the same name but vectors of another size asks for the base to be built anew', async () => {
    model.answer = (texts) => byMeaning(texts).map((vector) => [...vector, 0.5]);
    await service.restart(model.env);
    await staysWithItsModel('reindex_needed');
  });

  it('144: with its own model back is whole, and what failed meanwhile can be tried again', async () => {
    model.answer = byMeaning;
    await service.restart(model.env);
    expect(await library.search('vacation')).toMatchObject({ mode: 'hybrid', degraded: [] });
    const [failed] = (await library.list('?externalId=model_unavailable')).data;
    await library.call('POST', `/documents/${failed.id}/retry`);
    await service.settle();
    expect(await library.get(failed.id)).toMatchObject({ status: 'ready' });
    expect(await sizes()).toEqual(asBuilt);
  });
});
