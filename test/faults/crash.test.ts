import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CrashBench, longDocument, openCrashBench } from './crash-bench.js';
import type { Json } from './mortal-service.js';

// Each way to die once, by turns on one lane and on the other; CRASH_ROUNDS=20 for the whole table on both.
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 1);
const lane = process.env['DATABASE_URL'] ? 1 : 0;
const isDue = (_death: unknown, place: number): boolean => rounds > 1 || place % 2 === lane;

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
  { stage: 'after the postings', at: 'postings.written' },
  { stage: 'staged', at: 'revision.staged' },
  { stage: 'before swap', at: 'publish.swapping' },
  { stage: 'after swap, before webhook', at: 'publish.committed' },
  { stage: 'mid relay', at: 'event.told', passes: [4, 1, 2, 3, 5] },
  { stage: 'mid delivery, before the POST', at: 'delivery.claimed', passes: [3, 1, 2, 4] },
  { stage: '67: mid delivery, after the POST', at: 'delivery.sent', passes: [4, 1, 2, 3] },
];

let bench: CrashBench;
let clean: { base: string; chunks: Json[]; batches: number };
const bases: string[] = [];

beforeAll(async () => {
  if (rounds > 1)
    line('stage', ['runs', 'lost', 'duplicated', 'early', 'wrong', 'extra batch', 'sent again', 'median s']);
  bench = await openCrashBench();
  const base = await bench.newBase('clean');
  await bench.upload(base);
  await bench.settled(base);
  const [document] = await bench.list(base);
  clean = { base, chunks: await bench.chunks(base, document.id), batches: bench.batches() };
}, 180_000);
afterAll(() => bench.close());

async function light({ at, passes = [1], afterMs, batch }: Death, round: number): Promise<void> {
  bench.embeddings.asked.length = 0;
  bench.receiver.received.length = 0;
  if (at) await bench.service.arm({ at, pass: passes[round % passes.length] ?? 1, afterMs });
  const { answer } = bench.embeddings;
  if (batch)
    bench.embeddings.answer = (texts, asked) => {
      if (bench.batches() === batch) {
        bench.embeddings.answer = answer;
        bench.service.strike();
      }
      return answer(texts, asked);
    };
}

/** What came of one death, in numbers that are all to be 0 but the last three. */
interface Verdict {
  /** Acknowledged uploads that are not ready, and recorded events that nobody was told of. */
  lost: number;
  /** Documents, `document.ready` events and message ids beyond one for each. */
  duplicated: number;
  /** Events that were told although their transaction never ended. */
  early: number;
  /** Chunks that are not those of the clean run. */
  wrong: number;
  extraBatches: number;
  /** Deliveries that came again, under the same id. */
  repeated: number;
  recoveredMs: number;
}

/** One death in the life of a document, from its upload to the last webhook, and what is left of it after the next start. */
async function dieOnce(death: Death, round: number): Promise<Verdict> {
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
  return { ...(await judge(base)), recoveredMs: Math.round(performance.now() - started) };
}

async function judge(base: string): Promise<Omit<Verdict, 'recoveredMs'>> {
  const documents = await bench.list(base);
  const ready = documents.filter(({ status, revision }) => status === 'ready' && revision.number === 1);
  const chunks = await bench.chunks(base, ready[0]?.id);
  const recorded = await bench.eventsOf(base);
  const heard = bench.heardOf(base);
  const [known, told] = [new Set(recorded.map(({ id }) => id)), new Set(heard.map(({ event }) => event.id))];
  const ofDocument = recorded.filter(({ type }) => type.startsWith('document.'));
  expect(ofDocument.map(({ data }) => data.sequence)).toEqual(ofDocument.map((_, place) => place + 1));
  const messages = new Set(heard.map(({ messageId, event }) => `${messageId} ${JSON.stringify(event)}`)).size;
  return {
    lost: 1 - Math.min(1, ready.length) + recorded.filter(({ id }) => !told.has(id)).length,
    duplicated:
      documents.length -
      1 +
      (recorded.filter(({ type }) => type === 'document.ready').length - 1) +
      (messages - told.size),
    early: [...told].filter((id) => !known.has(id)).length,
    wrong:
      chunks.filter((chunk, place) => !isDeepStrictEqual(chunk, clean.chunks[place])).length +
      Math.abs(chunks.length - clean.chunks.length),
    extraBatches: Math.max(0, bench.batches() - clean.batches),
    repeated: heard.length - told.size,
  };
}

/** A line of the table that a long run prints. */
const line = (stage: string, cells: (string | number)[]) =>
  process.stdout.write(`${stage.padEnd(34)}${cells.map((cell) => String(cell).padStart(12)).join('')}\n`);

function report(stage: string, verdicts: Verdict[]): void {
  const sum = (field: keyof Verdict) => verdicts.reduce((total, verdict) => total + verdict[field], 0);
  const times = verdicts.map(({ recoveredMs }) => recoveredMs).sort((a, b) => a - b);
  const median = ((times[Math.floor(times.length / 2)] ?? 0) / 1000).toFixed(1);
  const extra = Math.max(...verdicts.map(({ extraBatches }) => extraBatches));
  const zeros = [sum('lost'), sum('duplicated'), sum('early'), sum('wrong')];
  line(stage, [verdicts.length, ...zeros, extra, sum('repeated'), median]);
}

describe('129: kill -9 at every boundary leaves what a clean run leaves', () => {
  it('(the clean run has three batches and all its chunks)', () => {
    expect(clean).toMatchObject({ batches: 3 });
    expect(clean.chunks.map(({ ordinal }) => ordinal)).toEqual(Array.from({ length: 150 }, (_, n) => n));
    expect(longDocument.length).toBeGreaterThan(64 * 1024);
  });

  it.each(deaths.filter(isDue))(
    '$stage',
    async (death) => {
      const verdicts: Verdict[] = [];
      for (let round = 0; round < rounds; round++) {
        const verdict = await dieOnce(death, round);
        verdicts.push(verdict);
        expect(verdict).toMatchObject({ lost: 0, duplicated: 0, early: 0, wrong: 0 });
        expect(verdict.extraBatches).toBeLessThanOrEqual(1);
        // 67: the receiver has it, the row does not know: it comes again, and only then.
        if (death.at === 'delivery.sent') expect(verdict.repeated).toBeGreaterThan(0);
      }
      if (rounds > 1) report(death.stage, verdicts);
    },
    rounds * 180_000,
  );

  it('row by row: text, place, vector bits and postings are those of the clean run, each once', async () => {
    await bench.service.kill();
    const sql = `select b.id, count(*)::int as rows, count(v.chunk_id)::int as vectors, md5(string_agg(md5(
         (c.ordinal, c.section, c.page, c.start_offset, c.end_offset, c.text, c.text_hash, c.tokens, c.visible, v.embedding)::text), '' order by c.ordinal)) as hash
       from knowledge_base b join document d on d.knowledge_base_id = b.id join chunk c on c.document_id = d.id
       left join chunk_vector v on v.index_id = c.index_id and v.chunk_id = c.id group by b.id`;
    const found = await bench.service.rows<{ id: string; rows: number; vectors: number; hash: string }>(sql);
    const [first] = found;
    expect(found).toHaveLength(bases.length + 1);
    for (const { rows, vectors, hash } of found) expect([rows, vectors, hash]).toEqual([150, 150, first?.hash]);
    const words = await bench.service.rows<{ revisions: number; hash: string }>(
      `select count(distinct s.revision_id)::int as revisions, md5(string_agg(md5(p.data), '' order by p.bucket)) as hash
       from knowledge_index i join segment_revision s on s.index_id = i.id
       join posting p on p.index_id = s.index_id and p.segment_no = s.segment_no group by i.id`,
    );
    expect(words).toEqual(found.map(() => ({ revisions: 1, hash: words[0]?.hash })));
    expect(
      await bench.service.rows(
        'select 1 from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)',
      ),
    ).toEqual([]);
  });
});
