import { afterAll, beforeAll, expect, it } from 'vitest';
import { SegmentMerging } from '../../src/knowledge/segment-merging.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await startService();
  library = await openLibrary(service);
});
afterAll(() => service.stop());

const sql = (statement: string) => service.database().asOwner((tx) => tx.rows<{ value: string }>(statement));
const value = async (expression: string): Promise<number> =>
  Number((await sql(`select ${expression} as value`))[0]?.value);

const found = async (query: string): Promise<string[]> =>
  (await library.search(query, { mode: 'keyword', topK: 100 })).results.map(
    (result: { document: { externalId: string } }) => result.document.externalId,
  );

it('many small segments become one, and every passage is still found', async () => {
  for (let n = 0; n < 20; n++) {
    await library.upload({
      externalId: `d${n}`,
      title: `Note ${n}`,
      content: `Common words and the special word${n}.`,
    });
  }
  await service.settle();
  expect(await value('(select count(*) from segment)')).toBeLessThan(16);
  expect(await value('(select count(*) from segment_revision)')).toBe(20);
  expect((await found('special')).toSorted()).toEqual(Array.from({ length: 20 }, (_, n) => `d${n}`).toSorted());
  expect(await found('word13')).toEqual(['d13']);
});

it('a deleted document leaves no posting behind', async () => {
  const before = await value('(select sum(chunks) from segment)');
  const list = await library.call('GET', '/documents?externalId=d13');
  await library.call('DELETE', `/documents/${list.body.data[0].id}`);
  expect(await found('word13')).toEqual([]);
  await service.settle();
  expect(await value('(select sum(chunks) from segment)')).toBe(before - 1);
  expect(await found('word12')).toEqual(['d12']);
});

it('chunks that were stored before there were postings get them from their text', async () => {
  await sql('delete from segment');
  expect(await found('word12')).toEqual([]);
  await service.settle();
  expect(await found('word12')).toEqual(['d12']);
  expect((await found('special')).length).toBe(19);
});

it('as many segments as would be merged, but of several sizes, are left alone, and nobody tries again and again', async () => {
  library = await openLibrary(service);
  const small = Array.from({ length: 10 }, (_, n) => ({ externalId: `s${n}`, content: `Small ${n}.` }));
  const large = Array.from({ length: 10 }, (_, n) => ({
    externalId: `l${n}`,
    content: Array.from({ length: 20 }, (_unused, section) => `# Part ${section}\n\nLarge ${n}.`).join('\n\n'),
  }));
  for (const document of [...small, ...large]) await library.upload(document);
  await service.settle();
  const indexId = await value('(select max(id) from knowledge_index)');
  const sizes = await sql(
    `select sum(r.chunks)::int as value from segment_revision r where r.index_id = ${indexId} group by r.segment_no`,
  );
  expect(sizes).toHaveLength(20);
  expect(await service.part(SegmentMerging).due()).toEqual([]);
});
