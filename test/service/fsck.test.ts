import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Checked, Fsck } from '../../src/ingestion/fsck.js';
import { BlobStore } from '../../src/platform/blobs.js';
import { Readable } from 'node:stream';
import { type Engines, type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));

let service: OwnService;
let library: Library;
let engines: Engines = {};
let tenantId: string;
/** Two documents: one of a chunk, edited once, and one of several chunks. */
let short: { id: string; revision: { id: string } };
let long: { id: string; revision: { id: string } };
let indexId: number;

const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const base = () => bare(library.base);
const afterwards = () => new Date(Date.now() + 60_000);
const check = (mend = false): Promise<Checked> => service.part(Fsck).check({ mend, before: afterwards() });
const kindsOf = ({ disagreements }: Checked) => disagreements.map(({ kind }) => kind).toSorted();

beforeAll(async () => {
  service = await startService({ env: (reached) => ((engines = reached), {}) });
  [{ id: tenantId } = { id: '' }] = await owner<{ id: string }>('select id from tenant');
});
afterAll(() => service.stop());

const paragraphs = Array.from({ length: 8 }, (_, n) => `Pier ${n} is swept on weekday ${n} by the harbour master.`);

async function fillLibrary(): Promise<void> {
  library = await openLibrary(service, { pipeline: { chunking: { targetTokens: 25, maxTokens: 30 } } });
  await library.publish({ externalId: 'short', content: 'The tide comes at noon.' });
  short = await library.publish({ externalId: 'short', content: 'The tide comes at one.' });
  long = await library.publish({ externalId: 'long', content: paragraphs.join('\n\n') });
  [{ id: indexId } = { id: 0 }] = await owner<{ id: number }>(
    'select id from knowledge_index where knowledge_base_id = $1',
    [base()],
  );
}

const everything = async () => {
  const search = { topK: 50, rank: { perDocument: 0, dropDuplicates: false } };
  const { results } = await library.search('tide pier swept', search);
  return results.map(({ text, score }: { text: string; score: number }) => [text, score.toFixed(6)]).toSorted();
};

/** Something is broken by hand: it is found, mended, and then everything agrees and answers as before. @returns the kinds */
async function foundAndMended(breakIt: () => Promise<unknown>): Promise<string[]> {
  const before = await everything();
  expect((await check()).disagreements).toEqual([]);
  await breakIt();
  const found = await check();
  const kinds = kindsOf(found);
  for (const { count, mended: done, examples, means } of found.disagreements)
    expect([count > 0, done, examples.length > 0, means.length > 10]).toEqual([true, 0, true, true]);
  const told = await check(true);
  for (const { kind, count, mended: done } of told.disagreements)
    if (kinds.includes(kind)) expect([kind, done]).toEqual([kind, count]);
  await service.settle();
  expect((await check()).disagreements).toEqual([]);
  expect(await everything()).toEqual(before);
  return kinds;
}

describe('the check', () => {
  beforeEach(fillLibrary);

  it('finds nothing where nothing is wrong, and says what it looked at', async () => {
    await library.call('DELETE', `/documents/${short.id}`);
    const sync = (await library.call('POST', '/syncs')).body.id;
    await library.upload({ externalId: 'held', content: 'Held back.', syncId: sync });
    await library.upload({ externalId: 'new', content: 'On its way.' });
    const { checked, disagreements } = await service.part(Fsck).check();
    expect(disagreements).toEqual([]);
    expect(checked).toMatchObject({ documents: expect.any(Number), blobs: expect.any(Number) });
    await service.settle();
    expect((await check()).disagreements).toEqual([]);
  });

  it('counts each disagreement and gives a few examples', async () => {
    await owner('delete from chunk_vector where index_id = $1', [indexId]);
    const { disagreements } = await check();
    expect(disagreements).toMatchObject([{ kind: 'vectors_missing', count: 3, mended: 0 }]);
    expect(disagreements[0]?.examples).toContain(`revision ${bare(long.revision.id)} in index ${indexId}`);
    expect((await check(true)).disagreements).toMatchObject([{ kind: 'vectors_missing', count: 3, mended: 3 }]);
    expect((await check()).disagreements).toEqual([]);
  });
});

const of = (table: string, key: string) => `delete from ${table} where index_id = $1 and revision_id = $2 and ${key}`;

// One half of the kinds on each lane, since each takes seconds; all of them on both with FSCK_KINDS=all.
const everyKind = process.env['FSCK_KINDS'] === 'all';
const native = process.env['DATABASE_URL'] !== undefined;

describe.runIf(everyKind || !native)('what disagrees is found and mended:', () => {
  // Once for all of them: each leaves the library as it found it.
  beforeAll(fillLibrary);

  it('vectors that are gone', async () =>
    expect(await foundAndMended(() => owner('delete from chunk_vector where index_id = $1', [indexId]))).toEqual([
      'vectors_missing',
    ]));

  it('text that is gone', async () =>
    expect(
      await foundAndMended(() => owner('delete from parse where revision_id = $1', [bare(long.revision.id)])),
    ).toEqual(['text_missing'].toSorted()));

  it('chunks that are gone', async () => {
    expect(
      await foundAndMended(() => owner(of('chunk', 'ordinal in (1, 3)'), [indexId, bare(long.revision.id)])),
    ).toEqual(['chunks_missing', 'vectors_stray', 'version_stats'].toSorted());
    const { data } = (await library.call('GET', `/documents/${long.id}/chunks`)).body;
    expect(data.map(({ ordinal }: { ordinal: number }) => ordinal)).toEqual(
      data.map((_: unknown, place: number) => place),
    );
  });

  it('a document of which no chunk is left: it is published anew', async () => {
    const before = await library.activeVersion();
    expect(await foundAndMended(() => owner(of('chunk', 'true'), [indexId, bare(long.revision.id)]))).toEqual(
      ['chunks_missing', 'postings_stray', 'vectors_stray', 'version_stats'].toSorted(),
    );
    expect(await library.activeVersion()).toBe(before + 1);
  });

  it('postings that are gone', async () =>
    expect(
      await foundAndMended(() => owner(of('segment_revision', 'true'), [indexId, bare(long.revision.id)])),
    ).toEqual(['postings_missing'].toSorted()));

  it('a segment without its postings', async () => {
    const [{ no } = { no: 0 }] = await owner<{ no: number }>(
      'select segment_no as no from segment_revision where revision_id = $1',
      [bare(long.revision.id)],
    );
    expect(
      await foundAndMended(() => owner('delete from posting where index_id = $1 and segment_no = $2', [indexId, no])),
    ).toEqual(['segment_broken'].toSorted());
  });

  it('a revision that a version shows in part', async () =>
    expect(
      await foundAndMended(() =>
        owner(`update chunk set visible = '{}' where index_id = $1 and revision_id = $2 and ordinal = 2`, [
          indexId,
          bare(long.revision.id),
        ]),
      ),
    ).toEqual(['shown_in_part'].toSorted()));

  it('rows whose revision is gone', async () =>
    expect(
      await foundAndMended(async () => {
        const lost = randomUUID();
        await owner(
          `insert into chunk (index_id, id, tenant_id, document_id, revision_id, ordinal, section, start_offset, end_offset, text, text_hash, tokens)
         select index_id, gen_random_uuid(), tenant_id, document_id, $2, ordinal, section, start_offset, end_offset, text, text_hash, tokens
         from chunk where index_id = $1 and revision_id = $3`,
          [indexId, lost, bare(long.revision.id)],
        );
        await owner(
          `insert into chunk_vector (index_id, chunk_id, tenant_id, revision_id, embedding)
         select index_id, gen_random_uuid(), tenant_id, $2, embedding from chunk_vector where index_id = $1 limit 1`,
          [indexId, lost],
        );
        await owner(
          `insert into segment_revision (index_id, revision_id, tenant_id, document_id, segment_no, base, chunks)
         select index_id, $2, tenant_id, document_id, segment_no, base, chunks from segment_revision where index_id = $1 limit 1`,
          [indexId, lost],
        );
      }),
    ).toEqual(['chunks_stray', 'postings_stray', 'vectors_stray'].toSorted()));
});

describe.runIf(everyKind || native)('what disagrees is found and mended, too:', () => {
  beforeAll(fillLibrary);

  it('vectors whose chunk is gone', async () =>
    expect(
      await foundAndMended(() =>
        owner(
          `insert into chunk_vector (index_id, chunk_id, tenant_id, revision_id, embedding)
         select index_id, gen_random_uuid(), tenant_id, revision_id, embedding from chunk_vector where index_id = $1 and revision_id = $2 limit 1`,
          [indexId, bare(long.revision.id)],
        ),
      ),
    ).toEqual(['vectors_stray'].toSorted()));

  it('what a version is said to show', async () =>
    expect(
      await foundAndMended(() =>
        owner(
          `update version set stats = '{"documents":7,"chunks":1}' where knowledge_base_id = $1 and number in (2, 3)`,
          [base()],
        ),
      ),
    ).toEqual(['version_stats'].toSorted()));

  it('two versions that are active, and one that should be', async () =>
    expect(
      await foundAndMended(() =>
        owner(
          `update version set status = case when number = 1 then 'active' else 'ready' end where knowledge_base_id = $1 and number in (1, 3)`,
          [base()],
        ),
      ),
    ).toEqual(['version_status'].toSorted()));

  it('a document without any content, which keeps its external id from others', async () => {
    const { body } = await library.upload({ externalId: 'empty', content: 'It never came.' });
    expect(await foundAndMended(() => owner('delete from revision where document_id = $1', [bare(body.id)]))).toEqual(
      ['blob_stray', 'document_without_revision'].toSorted(),
    );
    expect((await library.upload({ externalId: 'empty', content: 'It came.' })).status).toBe(202);
    await service.settle();
  });

  it('what a deleted document left behind', async () => {
    const { id } = await library.publish({ externalId: 'gone', content: 'It is gone.' });
    await library.call('DELETE', `/documents/${id}`);
    await service.settle();
    expect(
      await foundAndMended(() =>
        owner(
          `insert into document_grant (tenant_id, document_id, principal, effect) values ($1, $2, 'group:hr', 'allow')`,
          [tenantId, bare(id)],
        ),
      ),
    ).toEqual(['document_not_cleared'].toSorted());
  });

  it('a deleted base that came to have a document', async () => {
    const other = await openLibrary(service);
    await other.publish({ externalId: 'late', content: 'It came late.' });
    expect(await foundAndMended(() => other.call('DELETE', ''))).toEqual(['base_not_cleared'].toSorted());
  });

  it('tables of an index that is gone', async () =>
    expect(
      await foundAndMended(() => owner('create table chunk_987654 partition of chunk for values in (987654)')),
    ).toEqual(['index_stray'].toSorted()));

  it('bytes that nothing needs', async () =>
    expect(
      await foundAndMended(async () => {
        const blobs = service.part(BlobStore);
        const staged = await blobs.stage(Readable.from([Buffer.from(randomUUID())]), 1000);
        await blobs.keep(tenantId, staged);
      }),
    ).toEqual(['blob_stray'].toSorted()));
});

describe('bytes that are gone', () => {
  let lost: { id: string; revision: { id: string } };
  let hash: string;
  beforeEach(async () => {
    await fillLibrary();
    lost = await library.publish({ externalId: 'lost', content: `Nobody else says ${randomUUID()}.` });
    [{ hash } = { hash: '' }] = await owner<{ hash: string }>(
      'select content_hash as hash from revision where id = $1',
      [bare(lost.revision.id)],
    );
    await service.part(BlobStore).remove(tenantId, hash);
  });

  it('are found, and cannot be mended', async () => {
    const report = await check(true);
    expect(report.disagreements).toMatchObject([{ kind: 'blob_missing', count: 1, mended: 0 }]);
    expect(report.disagreements[0]?.examples[0]).toContain(hash);
    await library.call('DELETE', `/documents/${lost.id}`);
    await service.settle();
    expect((await check()).disagreements).toEqual([]);
  });

  it('are missed by what would be mended from them, and by nothing else', async () => {
    for (const { revision } of [lost, long])
      await owner('delete from parse where revision_id = $1', [bare(revision.id)]);
    const { disagreements } = await check(true);
    expect(disagreements.map(({ kind, count, mended }) => [kind, count, mended]).toSorted()).toEqual([
      ['blob_missing', 1, 0],
      ['text_missing', 2, 1],
    ]);
    await library.call('DELETE', `/documents/${lost.id}`);
    await service.settle();
    expect((await check()).disagreements).toEqual([]);
  });
});

const run = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    // Node and libraries warn of their own futures on the same stream.
    const env = {
      PATH: process.env['PATH'],
      NODE_NO_WARNINGS: '1',
      ...engines,
      DATA_DIR: service.dataDir,
      LOG_LEVEL: 'silent',
    };
    execFile(process.execPath, ['--liftoff-only', main, 'fsck', ...args], { env }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    );
  });

// The last one: it stops the service, since the embedded database has one owner.
describe('npm run fsck', () => {
  it('says who holds the embedded database', async () => {
    const { code, out, err } = await run();
    const expected = engines.DATABASE_URL === undefined ? /another Lectern \(pid \d+.*stop it/ : /everything agrees/;
    expect(`${out}${err}`).toMatch(expected);
    expect(code).toBe(engines.DATABASE_URL === undefined ? 1 : 0);
  });

  it('tells what disagrees and ends with 1, and mends it with --mend', async () => {
    await fillLibrary();
    await owner('delete from parse where revision_id = $1', [bare(long.revision.id)]);
    const { dataDir } = service;
    expect(dataDir).not.toBe('');
    await service.pause();
    const found = await run();
    expect([found.code, found.err]).toEqual([1, '']);
    expect(found.out).toMatch(/text_missing: 1, 0 mended: .*\n {2}revision /);
    expect(found.out).toContain('npm run fsck -- --mend');
    const mended = await run('--mend');
    expect([mended.code, mended.out]).toEqual([0, expect.stringContaining('text_missing: 1, 1 mended')]);
    await service.restart();
    expect((await check()).disagreements).toEqual([]);
  });
});
