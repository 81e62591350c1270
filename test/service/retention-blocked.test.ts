import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { made } from './callers.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;
let kitchen: string;

const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const version = async (number: number) => (await library.call('GET', `/versions/${number}`)).body;
const revisions = async (id: string) => {
  const found = await owner<{ status: string }>('select status from revision where document_id = $1 order by number', [
    bare(id),
  ]);
  return found.map(({ status }) => status);
};
const worse = { externalId: 'kitchen', content: 'Nothing is known of this any more.' };
const publishOther = (name: string) =>
  library.publish({ externalId: name, content: `Visitors of ${name} sign a list.` });

beforeAll(async () => {
  service = await startService({ env: { RETENTION_VERSIONS: '2', RETENTION_HOURS: '0' } });
});
afterAll(() => service.stop());

/** A base that is gated: version 1 is served. */
beforeEach(async () => {
  library = await openLibrary(service);
  ({ id: kitchen } = await library.publish({ externalId: 'kitchen', content: 'The kitchen closes at six.' }));
  const question = { query: 'When does the kitchen close?', expected: [{ passage: 'closes at six' }] };
  made(await library.call('POST', '/golden-questions', { body: question }));
});

it('what a blocked version held is given up when that is no longer kept', async () => {
  await library.upload(worse);
  await service.settle();
  expect(await version(2)).toMatchObject({ status: 'blocked' });
  expect(await revisions(kitchen)).toEqual(['ready', 'staged']);
  await publishOther('one');
  expect(await revisions(kitchen)).toEqual(['ready', 'staged']);
  await publishOther('two');
  await publishOther('three');
  expect(await version(2)).toMatchObject({ status: 'retired' });
  expect(await revisions(kitchen)).toEqual(['ready']);
  expect(await library.get(kitchen)).toMatchObject({ status: 'ready' });
  expect(await library.says('When does the kitchen close?')).toContain('closes at six');
});

it('but not what another blocked version holds as well', async () => {
  await library.upload(worse);
  await service.settle();
  await publishOther('one');
  // As if somebody had sent the same again, and the gate had judged as before.
  await owner(
    `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats)
     select tenant_id, knowledge_base_id, 4, 3, index_id, cause, status, stats from version where knowledge_base_id = $1 and number = 2`,
    [bare(library.base)],
  );
  await owner(
    `insert into version_change (tenant_id, knowledge_base_id, number, document_id, before, after)
     select tenant_id, knowledge_base_id, 4, document_id, before, after from version_change where knowledge_base_id = $1 and number = 2`,
    [bare(library.base)],
  );
  await owner('update knowledge_base set last_version = 4 where id = $1', [bare(library.base)]);
  await publishOther('two');
  expect([(await version(2)).status, (await version(4)).status]).toEqual(['retired', 'blocked']);
  expect(await revisions(kitchen)).toEqual(['ready', 'staged']);
  await publishOther('three');
  await publishOther('four');
  expect((await version(4)).status).toBe('retired');
  expect(await revisions(kitchen)).toEqual(['ready']);
});

it('a sync whose blocked version is no longer kept expires, and takes along what only it had made', async () => {
  const { id: sync } = (await library.call('POST', '/syncs')).body;
  await library.upload({ ...worse, syncId: sync });
  const { body: extra } = await library.upload({ externalId: 'extra', content: 'Something else.', syncId: sync });
  await library.call('POST', `/syncs/${sync}/commit`, { body: {} });
  await service.settle();
  expect((await library.call('GET', `/syncs/${sync}`)).body).toMatchObject({ status: 'blocked', version: 2 });
  for (const name of ['one', 'two', 'three']) await publishOther(name);
  expect(await version(2)).toMatchObject({ status: 'retired' });
  expect((await library.call('GET', `/syncs/${sync}`)).body).toMatchObject({
    status: 'expired',
    endedAt: expect.any(String),
  });
  expect(await revisions(kitchen)).toEqual(['ready']);
  expect((await library.call('GET', `/documents/${extra.id}`)).status).toBe(404);
  expect((await library.call('GET', `/deletions/${extra.id}`)).body).toMatchObject({ cause: 'sync' });
  const events = (await service.call('GET', '/v1/events?limit=100')).body.data;
  const reasons = events
    .filter(
      ({ type, data }: { type: string; data: { syncId?: string } }) => type === 'sync.failed' && data.syncId === sync,
    )
    .map(({ data }: { data: { reason: string } }) => data.reason);
  expect(reasons).toEqual(['expired', 'blocked']);
});
