import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CrashBench, longDocument, openCrashBench } from './crash-bench.js';
import type { Json } from './mortal-service.js';

let bench: CrashBench;

beforeAll(async () => {
  bench = await openCrashBench();
}, 180_000);
afterAll(() => bench.close());

const uuid = (id: string) => id.slice(id.indexOf('_') + 1);

/** Asks for all that a base says, again and again, whether or not anybody is there to answer. */
function keepReading(base: string) {
  const read: { version: number; said: string[]; results: number }[] = [];
  const until = new AbortController();
  const ended = (async () => {
    while (!until.signal.aborted) {
      const body = { query: 'everyone in the house', mode: 'keyword', topK: 50 };
      const answer = await bench.service
        .request('POST', `/v1/knowledge-bases/${base}/search`, { body })
        .catch(() => null);
      if (answer?.status === 200) {
        const { version, results } = answer.body;
        const said = new Set<string>(results.map(({ text }: Json) => /binder|folder/.exec(text)?.[0]));
        read.push({ version, said: [...said], results: results.length });
      }
      await pause(5);
    }
  })();
  return async () => {
    until.abort();
    await ended;
    return read;
  };
}

const long = Number(process.env['CRASH_ROUNDS'] ?? 1) > 1;
const native = process.env['DATABASE_URL'] !== undefined;

// One on each lane; all of them on both in the long run.
const deathsOfReindex = ['reindex.swapping', 'reindex.revision-built', 'chunks.half-stored', 'vectors.had'].filter(
  (_, at) => long || at === (native ? 1 : 0),
);

describe('after kill -9', () => {
  // Nine processes one after the other: a minute on the embedded engine, which has this in the long run only.
  it.runIf(native || long)(
    '130: a deadly document is given up as crash_loop after five dead workers, the queue moves on, and it can be tried again by hand',
    async () => {
      const { service } = bench;
      const base = await bench.newBase('deadly');
      await service.kill();
      await service.start({ ROLE: 'api' });
      const deadly = (await bench.upload(base, '# Deadly\n\nWhoever reads this dies.', 'deadly'))?.body;
      await bench.upload(base, '# Harmless\n\nNothing happens.', 'harmless');
      await service.kill();

      const fuse = { at: 'parse.begun', about: uuid(deadly.id), pass: 1 };
      for (let death = 1; death <= 5; death++) {
        await service.startToDie(fuse);
        await service.passTime();
      }
      // The sixth would die too, had the document not been given up.
      await service.start({ DIE_AT: JSON.stringify(fuse) });
      await bench.settled(base);
      const named = Object.fromEntries((await bench.list(base)).map((document) => [document.externalId, document]));
      expect(named['deadly']).toMatchObject({ status: 'failed', error: { code: 'crash_loop', retryable: true } });
      expect(named['harmless']).toMatchObject({ status: 'ready' });

      await service.kill();
      await service.start();
      const retry = `/v1/knowledge-bases/${base}/documents/${deadly.id}/retry`;
      expect(await service.request('POST', retry)).toMatchObject({ status: 202, body: { status: 'queued' } });
      await service.until('the retried document', async () =>
        (await bench.list(base)).every(({ status }) => status === 'ready'),
      );
      const told = (await bench.eventsOf(base)).filter(({ data }) => data.documentId === deadly.id);
      expect(told.map(({ type }) => type)).toEqual(
        ['queued', 'processing', 'failed', 'queued', 'processing', 'ready'].map((word) => `document.${word}`),
      );
    },
  );

  it('132: in the middle of publishing, a reader has the old version wholly and then the new one, never a mix', async () => {
    const { service } = bench;
    const base = await bench.newBase('read meanwhile');
    await bench.upload(base);
    await bench.settled(base);
    const stopReading = keepReading(base);
    await service.arm({ at: 'publish.swapping', about: uuid(base), pass: 1 });
    await bench.upload(base, longDocument.replaceAll('binder', 'folder'));
    await service.death();
    await service.passTime();
    await service.start();
    await bench.settled(base);
    await service.until('a reader to see the new version', async () => {
      const answer = await service.request('GET', `/v1/knowledge-bases/${base}`);
      return answer.body.activeVersion === 2;
    });
    const read = await stopReading();
    for (const { version, said, results } of read)
      expect([said, results]).toEqual([[version === 1 ? 'binder' : 'folder'], 50]);
    expect(new Set(read.map(({ version }) => version))).toEqual(new Set([1, 2]));
    const { stats } = (await service.request('GET', `/v1/knowledge-bases/${base}/versions/2`)).body;
    expect(stats).toEqual({ documents: 1, chunks: 150 });
  });

  it.each(deathsOfReindex)(
    '132: in the middle of a reindex (%s), readers have the old index wholly and then the new one, and little is bought twice',
    async (at) => {
      const { service } = bench;
      const base = await bench.newBase(`reindexed ${at}`);
      const root = `/v1/knowledge-bases/${base}`;
      const [document] = [(await bench.upload(base))?.body.id];
      await bench.upload(base, '# Attic\n\nNo binder is kept for everyone in the house up there.', 'attic');
      await bench.settled(base);
      const before = (await service.request('GET', root)).body.activeVersion;
      const stopReading = keepReading(base);
      bench.embeddings.asked.length = 0;
      await service.arm({ at, pass: 1 });
      const body = { pipeline: { chunking: { targetChars: 300, maxChars: 400 } } };
      const { id } = (await service.request('POST', `${root}/reindex`, { body })).body;
      await service.death();
      await service.passTime();
      await service.start();
      const state = async () => (await service.request('GET', `${root}/reindexes/${id}`)).body;
      await service.until('the reindex to be done', async () => (await state()).status === 'completed');
      await service.until('a reader to see it', async () => {
        const answer = await service.request('POST', `${root}/search`, {
          body: { query: 'everyone', mode: 'keyword' },
        });
        return answer.body.version > before;
      });
      const read = await stopReading();
      const done = await state();
      expect(done).toMatchObject({ progress: { done: 2, total: 2 }, version: before + 1 });
      expect(new Set(read.map(({ version }) => version))).toEqual(new Set([before, before + 1]));
      expect(new Set(read.map(({ results }) => results))).toEqual(new Set([50]));
      const passages = bench.embeddings.asked.flat().filter((text) => text !== 'dimensions');
      // What the dead one had asked for and not stored, at most: a quarter of one document's batches, and one more.
      expect(passages.length - new Set(passages).size).toBeLessThanOrEqual(2 * 64);
      const { stats } = (await service.request('GET', `${root}/versions/${before + 1}`)).body;
      const chunks = await bench.chunks(base, document);
      expect(chunks.map(({ ordinal }) => ordinal)).toEqual(chunks.map((_, place) => place));
      expect(stats).toEqual({ documents: 2, chunks: done.receipt.chunks.total });
      await service.stop();
      const left = await service.rows<{ extra: number }>(
        `select (select count(*)::int from chunk c where c.index_id = v.index_id)
              - (select count(*)::int from chunk_vector x join chunk c on c.index_id = x.index_id and c.id = x.chunk_id where x.index_id = v.index_id) as extra,
           (select count(*)::int from chunk c where c.index_id = v.index_id and not c.visible @> v.number) as hidden,
           (select count(*)::int from segment_revision s where s.index_id = v.index_id) as revisions
         from version v where v.knowledge_base_id = $1 and v.number = $2`,
        [uuid(base), before + 1],
      );
      expect(left).toEqual([{ extra: 0, hidden: 0, revisions: 2 }]);
      await service.start();
    },
  );

  it('133: a document deleted while a dead worker has half of it stored leaves no chunk, vector, stored text or bytes', async () => {
    const { service } = bench;
    const base = await bench.newBase('deleted');
    const blobs = join(service.dataDir, 'blobs');
    await mkdir(blobs, { recursive: true });
    const bytes = async () =>
      (await readdir(blobs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
    const before = await bytes();
    await service.arm({ at: 'chunks.half-stored', pass: 2 });
    const { id } = (await bench.upload(base, longDocument.replaceAll('binder', 'drawer')))?.body ?? {};
    await service.death();
    expect(await bytes()).toBe(before + 1);
    await service.passTime();
    await service.start({ ROLE: 'api' });
    expect((await service.request('DELETE', `/v1/knowledge-bases/${base}/documents/${id}`)).status).toBe(204);
    await service.kill();
    await service.start();
    await service.until('the bytes to be removed', async () => (await bytes()) === before);
    await service.until('the last word on it', async () =>
      bench.heardOf(base).some(({ event }) => event.type === 'document.deleted'),
    );
    await service.stop();
    const left = await service.rows(
      `select (select count(*)::int from chunk where document_id = $1) as chunks,
         (select count(*)::int from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)) as vectors,
         (select count(*)::int from parse p where not exists (select from revision r where r.id = p.revision_id)) as parses,
         (select count(*)::int from revision where document_id = $1) as revisions`,
      [uuid(id)],
    );
    expect(left).toEqual([{ chunks: 0, vectors: 0, parses: 0, revisions: 0 }]);
  });
});
