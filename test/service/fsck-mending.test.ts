import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Checked, Fsck } from '../../src/ingestion/fsck.js';
import { KeepingJobs } from '../../src/ingestion/keeping.jobs.js';
import { ReindexJobs } from '../../src/ingestion/reindex.jobs.js';
import { BlobStore } from '../../src/platform/blobs.js';
import { LOGGER, type Logger } from '../../src/platform/logger.js';
import { every } from '../faults/crossings.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { reindexing } from './reindexing.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service, { pipeline: { chunking: { targetTokens: 25, maxTokens: 30 }, language: 'en' } });
});
// The check looks at all bases of a tenant.
afterEach(async () => {
  await library.call('DELETE', '');
  await service.settle();
});

const { rows, reindex, state, indexes, waitIsOver } = reindexing(() => ({ service, library }));

const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const check = (mend = false): Promise<Checked> =>
  service.part(Fsck).check({ mend, before: new Date(Date.now() + 60_000) });
const told = ({ disagreements }: Checked) =>
  disagreements.map(({ kind, count, mended }) => [kind, count, mended]).toSorted();
const paragraphs = (many: number) =>
  Array.from({ length: many }, (_, n) => `Pier ${n} is swept on weekday ${n} by the harbour master.`).join('\n\n');

/** The index that was made last. */
const newest = async () => (await indexes()).at(-1)?.id ?? 0;
const stored = async (table: 'chunk' | 'chunk_vector' | 'segment_revision', index: number, revision: string) => {
  const [row] = await rows<{ count: number }>(
    `select count(*)::int as count from ${table} where index_id = $1 and revision_id = $2`,
    [index, bare(revision)],
  );
  return row?.count ?? 0;
};

describe('an index that is being built', () => {
  it('is left alone: a document that is built in part is whole once the index answers', async () => {
    const { revision } = await library.publish({ externalId: 'long', content: paragraphs(100) });
    const whole = await stored('chunk', await newest(), revision.id);
    const { id } = await reindex({ language: 'de' });
    let batches = 0;
    const stop = every('vectors.had', () =>
      ++batches === 2 ? Promise.reject(new Error('killed')) : Promise.resolve(),
    );
    await service.part(ReindexJobs).work();
    stop();
    const part = await stored('chunk', await newest(), revision.id);
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(whole);
    expect(told(await check(true))).toEqual([]);
    await waitIsOver();
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed' });
    expect(await stored('chunk', await newest(), revision.id)).toBe(whole);
    expect(told(await check())).toEqual([]);
  });
});

describe('a revision is mended', () => {
  it('from its stored text, where its bytes are gone', async () => {
    const { revision } = await library.publish({ externalId: 'long', content: paragraphs(8) });
    const [row] = await rows<{ hash: string; tenant: string }>(
      'select content_hash as hash, tenant_id as tenant from revision where id = $1',
      [bare(revision.id)],
    );
    await service.part(BlobStore).remove(row?.tenant ?? '', row?.hash ?? '');
    await rows('delete from chunk_vector where index_id = $1', [await newest()]);
    expect(told(await check(true))).toEqual([
      ['blob_missing', 1, 0],
      ['vectors_missing', 1, 1],
    ]);
    expect(told(await check())).toEqual([['blob_missing', 1, 0]]);
  });

  it('only where this build cuts its text as it was cut', async () => {
    const { revision } = await library.publish({ externalId: 'long', content: paragraphs(8) });
    const at = [await newest(), bare(revision.id)];
    // As a build left it that ended a passage elsewhere: the same text, and other vectors.
    await rows(
      `update chunk set end_offset = end_offset - 5, text = left(text, length(text) - 5)
       where index_id = $1 and revision_id = $2 and ordinal = 1`,
      at,
    );
    await rows(
      `delete from chunk_vector v using chunk c
       where v.index_id = $1 and c.index_id = $1 and c.id = v.chunk_id and c.revision_id = $2 and c.ordinal = 0`,
      at,
    );
    const kept = () =>
      rows(
        `select c.id, c.ordinal, c.text, md5(vector_send(v.embedding)) as vector from chunk c
           left join chunk_vector v on v.index_id = c.index_id and v.chunk_id = c.id
         where c.index_id = $1 and c.revision_id = $2 order by c.ordinal`,
        at,
      );
    const before = await kept();
    expect(told(await check(true))).toEqual([['vectors_missing', 1, 0]]);
    expect(await kept()).toEqual(before);
  });

  it('in each index by the language and the model that this was built with', async () => {
    const houses = Array.from({ length: 6 }, (_, n) => `In den alten Häusern am Hafen ${n} wohnt niemand mehr.`);
    const { revision } = await library.publish({ externalId: 'd0', content: houses.join('\n\n') });
    const english = await newest();
    await reindex({ language: 'de' });
    await service.settle();
    const german = await newest();
    const about = async () => {
      const rank = { understand: false, perDocument: 0, dropDuplicates: false };
      return (await library.search('Haus', { mode: 'keyword', topK: 50, rank })).results.length;
    };
    const found = await about();
    expect(found).toBeGreaterThan(2);
    const both = [[english, german]];
    await rows('delete from segment_revision where index_id = any($1)', both);
    expect(told(await check(true))).toEqual([['postings_missing', 2, 2]]);
    expect(await about()).toBe(found);
    await rows('delete from chunk_vector where index_id = any($1)', both);
    expect(told(await check(true))).toEqual([['vectors_missing', 2, 2]]);
    await rows('delete from chunk where index_id = $1 and revision_id = $2 and ordinal = 1', [
      german,
      bare(revision.id),
    ]);
    await check(true);
    expect(await about()).toBe(found);
    expect(told(await check())).toEqual([]);
    await library.activate(1);
    await service.settle();
    expect(await about()).toBe(0);
  });
});

it('what a sync holds back is made whole and goes on waiting for its commit', async () => {
  await library.publish({ externalId: 'other', content: 'The tide comes at noon.' });
  const sync = (await library.call('POST', '/syncs')).body.id;
  const { body: held } = await library.upload({ externalId: 'held', content: 'The pier is closed.', syncId: sync });
  await service.settle();
  await rows('delete from chunk where index_id = $1 and revision_id = $2', [await newest(), bare(held.revision.id)]);
  expect(told(await check(true))).toContainEqual(['chunks_missing', 1, 1]);
  await service.settle();
  expect(await stored('chunk', await newest(), held.revision.id)).toBe(1);
  expect(await library.finds('pier closed')).not.toContain('held');
  expect(told(await check())).toEqual([]);
  await library.call('POST', `/syncs/${sync}/commit`, { body: {} });
  await service.settle();
  expect(await library.finds('pier closed')).toContain('held');
});

describe('the nightly check', () => {
  it('looks at what is stored once when its hours are over, in one process, and says what disagrees', async () => {
    const jobs = service.part(KeepingJobs);
    const warn = vi.spyOn(service.part<Logger>(LOGGER as never), 'warn');
    const reports = () =>
      warn.mock.calls.filter(([, message]) => String(message).startsWith('what is stored disagrees'));
    try {
      await library.publish({ externalId: 'long', content: paragraphs(8) });
      await rows('delete from chunk_vector where index_id = $1', [await newest()]);
      await jobs.announceCheck();
      await service.settle();
      expect(reports()).toEqual([]);
      await rows(`update chore set begun_at = now() - interval '25 hours' where name = 'check'`);
      await Promise.all([jobs.announceCheck(), jobs.announceCheck()]);
      await service.settle();
      expect(reports().map(([report]) => report)).toMatchObject([
        { disagreements: [{ kind: 'vectors_missing', count: 1, mended: 0 }] },
      ]);
      await service.settle();
      expect(reports()).toHaveLength(1);
    } finally {
      warn.mockRestore();
    }
  });
});
