import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BlobStore } from '../../src/platform/blobs.js';
import { Retention } from '../../src/ingestion/retention.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;
let tenantId: string;

beforeAll(async () => {
  service = await startService({ env: { RETENTION_VERSIONS: '3', RETENTION_HOURS: '0' } });
  [{ id: tenantId } = { id: '' }] = await owner<{ id: string }>('select id from tenant');
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const base = () => bare(library.base);
const storage = async () => (await library.call('GET', '/storage')).body;

interface Kept {
  number: number;
  status: string;
}
const versions = async (): Promise<Kept[]> => (await library.call('GET', '/versions?limit=200')).body.data;
const retained = async () =>
  (await versions()).filter(({ status }) => status !== 'retired').map(({ number }) => number);

/** Everything that a version says, sorted; undefined: the active one. */
async function says(version?: number): Promise<string[]> {
  const search = { topK: 50, mode: 'keyword', rank: { perDocument: 0, dropDuplicates: false }, version };
  const { results } = await library.search('tide', search);
  return results.map(({ text }: { text: string }) => text).toSorted();
}

/** What is stored of the base, row by row. */
async function rows() {
  const [counts] = await owner<Record<string, number>>(
    `with i as (select id from knowledge_index where knowledge_base_id = $1), r as (select id, content_hash from revision where knowledge_base_id = $1)
     select (select count(*)::int from chunk where index_id in (select id from i)) as chunks,
       (select count(*)::int from chunk_vector where index_id in (select id from i)) as vectors,
       (select coalesce(sum(chunks), 0)::int from segment_revision where index_id in (select id from i)) as postings,
       (select coalesce(sum(chunks), 0)::int from segment where index_id in (select id from i)) as segments,
       (select count(*)::int from parse where revision_id in (select id from r)) as parses,
       (select count(*)::int from r) as revisions,
       (select count(*)::int from version_change where knowledge_base_id = $1) as changes`,
    [base()],
  );
  return counts;
}

const contents = async () => {
  const hashes = await owner<{ hash: string }>(
    'select distinct content_hash as hash from revision where knowledge_base_id = $1',
    [base()],
  );
  const stored = new Set((await service.part(BlobStore).list(null, 10_000)).map(({ hash }) => hash));
  return { needed: hashes.length, stored: hashes.filter(({ hash }) => stored.has(hash)).length };
};
const blobCount = async () => (await service.part(BlobStore).list(null, 10_000)).length;
const edit = (externalId: string, text: string) => library.publish({ externalId, content: `The tide: ${text}.` });

describe('retention', () => {
  it('keeps the newest versions word for word, each to be gone back to, and ends the others', async () => {
    const served = new Map<number, string[]>();
    for (let round = 0; round < 12; round++) {
      await edit(`d${round % 4}`, `of round ${round}, at document ${round % 4}`);
      if (round === 5)
        await library.call('POST', `/documents/${(await library.list('?externalId=d1')).data[0].id}/unpublish`);
      await service.settle();
      served.set(await library.activeVersion(), await says());
    }
    const last = await library.activeVersion();
    expect(await retained()).toEqual([last, last - 1, last - 2]);
    for (const number of await retained()) {
      expect(await says(number), `version ${number}`).toEqual(served.get(number));
      expect((await library.activate(number)).status).toBe(200);
      expect(await says(), `version ${number}`).toEqual(served.get(number));
    }
    for (const number of [0, 1, last - 3]) {
      expect(await library.activate(number)).toMatchObject({ status: 410, body: { code: 'gone' } });
      expect((await library.call('GET', `/versions/${number}...${last}`)).status).toBe(410);
      expect((await library.call('POST', '/search', { body: { query: 'tide', version: number } })).status).toBe(404);
      expect((await library.call('GET', `/versions/${number}`)).body.status).toBe('retired');
    }
  });

  it('keeps what lies on the way between two versions that are kept, also after going back', async () => {
    const served = new Map<number, string[]>();
    const note = async () => served.set(await library.activeVersion(), await says());
    for (let round = 0; round < 4; round++) {
      await edit(`d${round}`, `number ${round}`);
      await note();
    }
    await library.activate(2);
    // An abandoned branch (3, 4), and one that is built on 2.
    for (let round = 0; round < 5; round++) {
      await edit('d0', `edited ${round}`);
      await note();
      for (const number of await retained()) expect(await says(number), `${number}`).toEqual(served.get(number));
    }
    const kept = await retained();
    expect(kept).toEqual([9, 8, 7]);
    expect((await library.call('GET', '/versions/7...9')).body).toMatchObject({
      added: [],
      changed: [{ externalId: 'd0' }],
      removed: [],
    });
    await library.activate(7);
    await edit('d1', 'on seven');
    await note();
    for (const number of await retained()) expect(await says(number), `${number}`).toEqual(served.get(number));
    expect(await says()).toEqual(['The tide: edited 2.', 'The tide: on seven.']);
    expect((await library.call('GET', '/versions/9...10')).body).toMatchObject({
      changed: [{ externalId: 'd1' }, { externalId: 'd0' }],
    });
  });

  it('never ends what is served, nor what that was built on', async () => {
    await edit('d0', 'first');
    await edit('d0', 'second');
    await library.activate(1);
    const sync = (await library.call('POST', '/syncs')).body.id;
    await library.upload({ externalId: 'd9', content: 'The tide: held back.', syncId: sync });
    await service.settle();
    // Versions that nobody publishes on: made by hand, as a gate makes them that lets nothing through.
    await owner(
      `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats)
       select tenant_id, knowledge_base_id, n, n - 1, index_id, '{}', 'blocked', stats from version, generate_series(3, 9) n
       where knowledge_base_id = $1 and number = 1`,
      [base()],
    );
    await owner('update knowledge_base set last_version = 9 where id = $1', [base()]);
    await service.settle();
    expect(await retained()).toEqual([9, 8, 7, 1, 0]);
    expect(await says()).toEqual(['The tide: first.']);
    await library.call('POST', `/syncs/${sync}/commit`, { body: {} });
    await service.settle();
    expect(await says()).toEqual(['The tide: first.', 'The tide: held back.']);
  });

  it('frees every row that no version shows which is kept, and the bytes that nothing needs', async () => {
    const before = await blobCount();
    for (let round = 0; round < 8; round++) await edit('d0', `number ${round}`);
    expect(await rows()).toEqual({
      chunks: 3,
      vectors: 3,
      postings: 3,
      segments: 3,
      parses: 3,
      revisions: 3,
      changes: 3,
    });
    expect(await contents()).toEqual({ needed: 3, stored: 3 });
    expect(await blobCount()).toBe(before + 3);
    expect((await versions()).map(({ status }) => status)).toEqual([
      'active',
      'ready',
      'ready',
      ...Array(6).fill('retired'),
    ]);
  });

  it('frees what was overtaken before it ever answered', async () => {
    const before = await blobCount();
    for (let round = 0; round < 4; round++) await library.upload({ externalId: 'd0', content: `The tide: ${round}.` });
    await service.settle();
    expect(await rows()).toMatchObject({ chunks: 1, parses: 1, revisions: 1 });
    expect(await blobCount()).toBe(before + 1);
    const sync = (await library.call('POST', '/syncs')).body.id;
    await library.upload({ externalId: 'd0', content: 'The tide: held.', syncId: sync });
    await service.settle();
    expect(await rows()).toMatchObject({ chunks: 2, parses: 2, revisions: 2 });
    await library.call('POST', `/syncs/${sync}/abort`);
    await service.settle();
    expect(await rows()).toMatchObject({ chunks: 1, parses: 1, revisions: 1 });
    expect(await blobCount()).toBe(before + 1);
    expect(await says()).toEqual(['The tide: 3.']);
  });

  it('keeps the text of a document that is unpublished, without its chunks, until something newer comes', async () => {
    const { id } = await edit('d0', 'out of print');
    await library.call('POST', `/documents/${id}/unpublish`);
    for (let round = 0; round < 4; round++) await edit('d1', `number ${round}`);
    expect(await rows()).toMatchObject({ chunks: 3, revisions: 4, parses: 4 });
    expect((await library.call('GET', `/documents/${id}/content`)).body.text).toContain('out of print');
    expect((await library.list('?externalId=d0')).data).toMatchObject([{ status: 'ready', activeRevision: null }]);
    await edit('d0', 'out of print');
    expect(await says()).toEqual(['The tide: number 3.', 'The tide: out of print.']);
    await edit('d0', 'in print again');
    expect((await library.call('GET', `/documents/${id}`)).body.revision.number).toBe(3);
    expect(await rows()).toMatchObject({ revisions: 3 });
  });

  it('takes neither what answers nor what is to answer, whatever else is freed meanwhile', async () => {
    const { id } = await edit('d0', 'kept');
    for (let round = 0; round < 5; round++) await edit('d1', `number ${round}`);
    const before = await says();
    await service.part(Retention).retain({ tenantId }, base());
    expect(await says()).toEqual(before);
    expect(await library.get(id)).toMatchObject({ status: 'ready', activeRevision: { number: 1 } });
  });
});

const long = (mark: string) =>
  Array.from(
    { length: 1100 },
    (_, n) => `The tide ${mark} at pier ${n} is told by whoever keeps the pier, at noon, by bell.`,
  ).join('\n\n');

describe('freeing', () => {
  type Message = { name: string; hold: (until: Promise<unknown>) => void };
  let seen = 0;
  let killAt = Infinity;
  /** How many chunks are there before the first transaction, and after each. */
  let left: number[] = [];
  const count = async () => left.push((await rows())?.['chunks'] ?? -1);
  const onBoundary = (message: unknown) => {
    const { name, hold } = message as Message;
    if (name === 'retention.retired') hold(count());
    if (name !== 'retention.freeing') return;
    seen += 1;
    hold(count());
    if (seen === killAt) hold(Promise.reject(new Error('killed')));
  };
  beforeEach(() => {
    seen = 0;
    left = [];
    killAt = Infinity;
    subscribe('lectern.boundary', onBoundary);
  });
  afterEach(() => {
    unsubscribe('lectern.boundary', onBoundary);
  });

  it('goes in batches of 500 chunks, and goes on after it was killed between two', async () => {
    library = await openLibrary(service, { pipeline: { chunking: { targetTokens: 25, maxTokens: 30 } } });
    await edit('d1', 'beside it');
    await library.publish({ externalId: 'd0', content: long('of spring') });
    for (let round = 0; round < 2; round++) await edit('d0', `short ${round}`);
    const full = await rows();
    expect(full?.['chunks']).toBeGreaterThan(1100);
    left = [];
    killAt = 2;
    await library.upload({ externalId: 'd0', content: 'The tide: short 2.' });
    await service.settle();
    expect(seen).toBeGreaterThanOrEqual(3);
    expect(Math.max(...left.slice(1).map((chunks, at) => (left[at] ?? 0) - chunks))).toBe(500);
    expect(await rows()).toMatchObject({ chunks: 4, vectors: 4, postings: 4, revisions: 4 });
    expect(await says()).toEqual(['The tide: beside it.', 'The tide: short 2.']);
  });
});

describe('an index that no version stands in any more', () => {
  it('is dropped with its partitions, and the others go on', async () => {
    await edit('d0', 'kept');
    const [old] = await owner<{ id: number }>('select id from knowledge_index where knowledge_base_id = $1', [base()]);
    const [made] = await owner<{ id: number }>(
      `insert into knowledge_index (tenant_id, knowledge_base_id, fingerprint, pipeline, embedding_model, dimensions)
       select tenant_id, knowledge_base_id, 'another', pipeline, embedding_model, dimensions from knowledge_index where id = $1 returning id`,
      [old?.id],
    );
    await service.database().asOwner(async (tx) => {
      for (const table of ['chunk', 'chunk_vector']) {
        await tx.run(`create table ${table}_${made?.id} partition of ${table} for values in (${made?.id})`);
        await tx.run(`alter table ${table}_${made?.id} enable row level security`);
        await tx.run(`alter table ${table}_${made?.id} force row level security`);
      }
      await tx.run(
        `insert into chunk (index_id, id, tenant_id, document_id, revision_id, ordinal, section, page, start_offset, end_offset, text, text_hash, tokens, visible)
         select $2, id, tenant_id, document_id, revision_id, ordinal, section, page, start_offset, end_offset, text, text_hash, tokens, '{[2,)}'
         from chunk where index_id = $1`,
        [old?.id, made?.id],
      );
      await tx.run(
        `insert into chunk_vector (index_id, chunk_id, tenant_id, revision_id, embedding)
         select $2, chunk_id, tenant_id, revision_id, embedding from chunk_vector where index_id = $1`,
        [old?.id, made?.id],
      );
      await tx.run(`update version set status = 'ready' where knowledge_base_id = $1`, [base()]);
      await tx.run(
        `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats)
         select tenant_id, knowledge_base_id, n, n - 1, $2, '{}', case when n = 4 then 'active' else 'ready' end, stats
         from version, generate_series(2, 4) n where knowledge_base_id = $1 and number = 1`,
        [base(), made?.id],
      );
      await tx.run(
        'update knowledge_base set active_version = 4, last_version = 4, index_id = $2, titles_index = $2 where id = $1',
        [base(), made?.id],
      );
    });
    await service.settle();
    expect(await retained()).toEqual([4, 3, 2]);
    const [there] = await owner<{ tables: number }>(
      'select count(*)::int as tables from pg_class where relname = any($1)',
      [[`chunk_${old?.id}`, `chunk_vector_${old?.id}`]],
    );
    expect(there).toEqual({ tables: 0 });
    expect((await storage()).indexes).toMatchObject([{ id: made?.id, chunks: 1 }]);
    expect(await says()).toEqual(['The tide: kept.']);
    expect(await says(2)).toEqual(['The tide: kept.']);
  });
});

describe('young versions', () => {
  it('are kept, however many there are, until they have the least age', async () => {
    const [strict] = [await startService({ env: { RETENTION_VERSIONS: '1', RETENTION_HOURS: '1' } })];
    try {
      const own = await openLibrary(strict);
      for (let round = 0; round < 4; round++) await own.publish({ externalId: 'd0', content: `The tide: ${round}.` });
      const kept = async () =>
        (await own.call('GET', '/versions')).body.data
          .filter(({ status }: Kept) => status !== 'retired')
          .map(({ number }: Kept) => number);
      expect(await kept()).toEqual([4, 3, 2, 1, 0]);
      await strict
        .database()
        .asOwner((tx) => tx.run(`update version set created_at = now() - interval '2 hours' where number < 3`));
      await strict.settle();
      expect(await kept()).toEqual([4, 3]);
    } finally {
      await strict.stop();
    }
  });
});
