import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeKey } from './callers.js';
import { type Service, joinService } from './harness.js';
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

const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);

it('who deletes a base does not learn which documents stood in it that they could not see', async () => {
  const scopes = ['bases:manage', 'documents:read', 'documents:write'];
  const { key } = await makeKey(service, service.key, { scopes });
  const access = { visibility: 'restricted', allow: ['group:hr'] };
  const { id: hidden } = await library.publish({ externalId: 'salaries', content: 'Paid on the tenth.', access });
  const { id: own } = await library.publish({ externalId: 'leave', content: 'There are 27 days.' });
  expect((await library.call('GET', `/documents/${hidden}`, { key })).status).toBe(404);
  expect((await library.call('DELETE', `/documents/${own}`, { key })).status).toBe(204);
  expect((await library.call('DELETE', '', { key })).status).toBe(204);
  await service.settle();
  const listed = async (as?: string) => {
    const { status, body } = await library.call('GET', '/deletions', as === undefined ? {} : { key: as });
    return [status, body.data.map(({ externalId }: { externalId: string }) => externalId).toSorted()];
  };
  expect(await listed(key)).toEqual([200, ['leave']]);
  expect((await library.call('GET', `/deletions/${hidden}`, { key })).status).toBe(404);
  expect(await listed()).toEqual([200, ['leave', 'salaries']]);
  expect((await library.call('GET', `/deletions/${hidden}`)).body).toMatchObject({
    cause: 'base',
    status: 'completed',
  });
});

it('the indexes of a deleted base go with their tables, once its documents are cleared away', async () => {
  await library.publish({ externalId: 'one', content: 'The tide comes at noon.' });
  await library.call('POST', '/reindex', { body: { pipeline: { language: 'de' } } });
  await service.settle();
  const { id } = await library.publish({ externalId: 'two', content: 'The tide comes at one.' });
  const indexes = () =>
    owner<{ id: number }>('select id from knowledge_index where knowledge_base_id = $1', [bare(library.base)]);
  const tables = (await indexes()).flatMap((index) => [`chunk_${index.id}`, `chunk_vector_${index.id}`]);
  const there = () => owner('select relname from pg_class where relname = any($1)', [tables]);
  expect(tables).toHaveLength(4);
  expect(await there()).toHaveLength(4);
  await library.call('DELETE', '');
  await service.settle();
  expect(await indexes()).toEqual([]);
  expect(await there()).toEqual([]);
  expect((await library.call('GET', `/deletions/${id}`)).body).toMatchObject({
    status: 'completed',
    removed: { chunks: 1, vectors: 1, postings: 1 },
  });
});
