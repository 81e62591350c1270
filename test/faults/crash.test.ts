import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CrashBench, type Json, longDocument, openCrashBench } from './crash-bench.js';

// Each way to die once; CRASH_ROUNDS=20 for the whole table.
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 1);

/** Where the process dies. `passes`: the how manieth crossing, in turn; `batch`: while the model holds that batch. */
interface Death {
  stage: string;
  at?: string;
  passes?: number[];
  afterMs?: number;
  batch?: number;
}

const deaths: Death[] = [
  { stage: 'temp write', at: 'blob.writing', passes: [2, 1] },
  { stage: 'after rename', at: 'blob.renamed' },
  { stage: 'after commit, before enqueue', at: 'upload.committed' },
  { stage: 'mid-parse', at: 'parse.begun', afterMs: 40 },
  { stage: 'after parse commit', at: 'parse.kept' },
  { stage: 'mid-embed batch', batch: 2 },
  { stage: 'after embed, before insert', at: 'vectors.had', passes: [3, 2, 1] },
  { stage: 'mid chunk insert', at: 'chunks.half-stored', passes: [3, 2, 1] },
  { stage: 'staged', at: 'revision.staged' },
  { stage: 'before swap', at: 'publish.swapping' },
  { stage: 'after swap, before webhook', at: 'publish.committed' },
  { stage: 'mid relay', at: 'event.told', passes: [4, 1, 2, 3, 5] },
  { stage: 'mid delivery, before the POST', at: 'delivery.claimed', passes: [3, 1, 2, 4] },
  { stage: 'mid delivery, after the POST', at: 'delivery.sent', passes: [4, 1, 2, 3] },
];

let bench: CrashBench;
let clean: { base: string; chunks: Json[]; batches: number };
const bases: string[] = [];

beforeAll(async () => {
  bench = await openCrashBench();
  const base = await bench.newBase('clean');
  await bench.upload(base);
  await bench.settled(base);
  const [document] = await bench.list(base);
  clean = { base, chunks: await bench.chunks(base, document.id), batches: bench.batches() };
});
afterAll(() => bench.close());

async function light({ at, passes = [1], afterMs, batch }: Death, round: number): Promise<void> {
  bench.embeddings.asked.length = 0;
  if (at) await bench.service.arm({ at, pass: passes[round % passes.length] ?? 1, afterMs });
  const { answer } = bench.embeddings;
  if (batch)
    bench.embeddings.answer = (texts) => {
      if (bench.batches() === batch) {
        bench.embeddings.answer = answer;
        bench.service.strike();
      }
      return answer(texts);
    };
}

/** One death in the life of a document, from its upload to the last webhook. @returns the base, settled again */
async function dieOnce(death: Death, round: number): Promise<{ base: string; recoveredMs: number }> {
  const { service } = bench;
  const base = await bench.newBase(`${death.stage} ${round}`);
  bases.push(base);
  await light(death, round);
  const accepted = await bench.upload(base);
  await service.death();
  await service.passTime();
  const started = performance.now();
  await service.start();
  // Whoever got no answer sends the file again; nothing may have come of it before the commit.
  if (!accepted) {
    expect(await bench.list(base)).toHaveLength(death.at === 'upload.committed' ? 1 : 0);
    expect([200, 202]).toContain((await bench.upload(base))?.status);
  }
  await bench.settled(base);
  return { base, recoveredMs: performance.now() - started };
}

/** Every event once under one id, and none that was told although its transaction never ended. */
async function judgeEvents(base: string, documentId: string): Promise<void> {
  const recorded = await bench.eventsOf(base);
  const heard = bench.heardOf(base);
  expect(new Set(heard.map(({ event }) => event.id))).toEqual(new Set(recorded.map(({ id }) => id)));
  expect(new Set(heard.map(({ messageId }) => messageId)).size).toBe(recorded.length);
  const told = recorded.filter(({ data }) => data.documentId === documentId);
  expect(told.map(({ type }) => type)).toEqual(['document.queued', 'document.processing', 'document.ready']);
  expect(told.map(({ data }) => data.sequence)).toEqual([1, 2, 3]);
}

async function judge(base: string): Promise<void> {
  const all = await bench.list(base);
  expect(all).toHaveLength(1);
  const [document] = all;
  expect(document).toMatchObject({ status: 'ready', error: null, revision: { number: 1 } });
  expect(await bench.chunks(base, document.id)).toEqual(clean.chunks);
  await judgeEvents(base, document.id);
  expect(bench.batches()).toBeLessThanOrEqual(clean.batches + 1);
}

describe('129: kill -9 at every boundary leaves what a clean run leaves', () => {
  it('(the clean run has three batches and all its chunks)', () => {
    expect(clean).toMatchObject({ batches: 3 });
    expect(clean.chunks.map(({ ordinal }) => ordinal)).toEqual(Array.from({ length: 150 }, (_, n) => n));
    expect(longDocument.length).toBeGreaterThan(64 * 1024);
  });

  it.each(deaths)(
    '$stage',
    async (death) => {
      for (let round = 0; round < rounds; round++) {
        const { base } = await dieOnce(death, round);
        await judge(base);
      }
    },
    30_000 + rounds * 20_000,
  );

  it('row by row: text, place and vector bits are those of the clean run, each once', async () => {
    await bench.service.kill();
    const sql = `select b.id, count(*)::int as rows, count(v.chunk_id)::int as vectors, md5(string_agg(md5(
         (c.ordinal, c.section, c.page, c.start_offset, c.end_offset, c.text, c.text_hash, c.tokens, c.visible, v.embedding)::text), '' order by c.ordinal)) as hash
       from knowledge_base b join document d on d.knowledge_base_id = b.id join chunk c on c.document_id = d.id
       left join chunk_vector v on v.index_id = c.index_id and v.chunk_id = c.id group by b.id`;
    const found = await bench.service.rows<{ id: string; rows: number; vectors: number; hash: string }>(sql);
    const [first] = found;
    expect(found).toHaveLength(bases.length + 1);
    for (const { rows, vectors, hash } of found) expect([rows, vectors, hash]).toEqual([150, 150, first?.hash]);
    expect(
      await bench.service.rows(
        'select 1 from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)',
      ),
    ).toEqual([]);
  });
});
