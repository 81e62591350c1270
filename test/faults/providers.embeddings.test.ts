import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { byMeaning, type Reply, startEmbeddingServer } from '../service/embedding-server.js';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: Service;
let library: Library;

const env = { EMBEDDING_TIMEOUT_MS: '1000', EMBEDDING_QUERY_TIMEOUT_MS: '500' };

beforeAll(async () => {
  model = await startEmbeddingServer();
  service = await startService({ env: { ...model.env, ...env } });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await service.stop();
  model.stop();
});
beforeEach(async () => {
  model.answer = byMeaning;
  // What the test before did to the breaker is over: a call succeeds.
  breakerRests();
  library = await openLibrary(service);
  await library.publish(trains);
});

const leave = { externalId: 'leave', content: 'Every employee has 27 days of annual leave.' };
const trains = { externalId: 'trains', content: 'A railway ticket is booked by the office.' };

const rows = <Row extends object>(sql: string, parameters: unknown[]) =>
  service.database().asOwner((tx) => tx.rows<Row>(sql, parameters));

const uuid = (id: string): string => id.slice(id.indexOf('_') + 1);

const vectors = async (): Promise<number> =>
  (
    await rows(
      'select 1 from chunk_vector v join knowledge_index i on i.id = v.index_id where i.knowledge_base_id = $1',
      [uuid(library.base)],
    )
  ).length;

const eventsOf = async (id: string): Promise<string[]> =>
  (await rows<{ type: string }>('select type from event where subject_id = $1 order by sequence', [uuid(id)])).map(
    ({ type }) => type,
  );

const ready = async () => (await service.call('GET', '/health/ready')).body;

/** Moves the clock that the breaker reads by what it rests. */
let ahead = 0;
const now = Date.now.bind(Date);
function breakerRests(): void {
  ahead += 31_000;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + ahead);
}

// Every kind of failure is told apart in test/contract/models.test.ts: these three reach the service in different ways.
const faults: [string, Reply][] = [
  ['429 with Retry-After', { status: 429, headers: { 'retry-after': '7' } }],
  ['a hang', 'hang'],
  ['a web page', { raw: '<html>Sign in</html>' }],
];

describe('an embedding provider that fails for a while', () => {
  it.each(faults)('141: %s lets the document wait and the search go by keyword', async (_name, reply) => {
    model.answer = () => reply;
    const { status, body } = await library.upload(leave);
    expect(status).toBe(202);
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'queued', error: null });
    expect(await vectors()).toBe(1);
    expect(await library.search('railway ticket')).toMatchObject({
      mode: 'keyword',
      degraded: ['semantic'],
      results: [{ document: { externalId: 'trains' } }],
    });
    model.answer = byMeaning;
    breakerRests();
    await library.waitIsOver(body.id);
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'ready', error: null });
    expect(await library.search('vacation')).toMatchObject({ mode: 'hybrid', degraded: [] });
  });

  it('141: its Retry-After is when the document is tried again', async () => {
    model.answer = () => ({ status: 429, headers: { 'retry-after': '300' } });
    const { body } = await library.upload(leave);
    await service.settle();
    const [row] = await rows<{ seconds: number }>(
      'select extract(epoch from lease_expires_at - now())::float as seconds from revision where document_id = $1',
      [uuid(body.id)],
    );
    expect(row?.seconds).toBeGreaterThan(240);
    expect(row?.seconds).toBeLessThanOrEqual(300);
  });
});

describe('a passage that spoils its batch', () => {
  const poison = 'Kerfuffle';
  const paragraphs = (count: number, bad: number) =>
    Array.from(
      { length: count },
      (_, n) => `## Part ${n}\n\n${n === bad ? poison : 'Leave'} number ${n}. ${'Words. '.repeat(100)}`,
    );
  const spoils = (texts: string[]) => texts.some((text) => text.includes(poison));

  it('141: refused with 400, ends its document alone with the passage named; its neighbours are kept', async () => {
    model.answer = (texts) => (spoils(texts) ? { status: 400 } : byMeaning(texts));
    const bad = await library.upload({ content: paragraphs(30, 17).join('\n\n'), externalId: 'bad' });
    const good = await library.upload(leave);
    await service.settle();
    const document = await library.get(bad.body.id);
    expect(document).toMatchObject({ status: 'failed', error: { code: 'passage_refused', retryable: false } });
    expect(document.error.message).toContain('Passage 18 of 30');
    expect(await library.get(good.body.id)).toMatchObject({ status: 'ready' });
    // Without it, the seventeen before it need not be bought again.
    const mended = await library.publish({ content: paragraphs(30, -1).join('\n\n'), externalId: 'bad' });
    expect(mended).toMatchObject({ status: 'ready', receipt: { chunks: { total: 30, reused: 17 } } });
  });

  it('141: answered with null for a number, it is named just so, and no bad vector is stored', async () => {
    model.answer = (texts) =>
      byMeaning(texts).map((vector, n) => (texts[n]?.includes(poison) ? [null, 1, 1, 1] : vector));
    const document = await library.publish({ content: paragraphs(9, 4).join('\n\n'), externalId: 'bad' });
    expect(document).toMatchObject({ status: 'failed', error: { code: 'bad_embedding', retryable: true } });
    expect(document.error.message).toContain('Passage 5 of 9');
    expect(await vectors()).toBe(1 + 4);
    expect(await library.finds('leave words')).not.toContain('bad');
  });

  it('139: a refusal full of NUL and half characters fails the document once, with the real reason', async () => {
    const message = 'bad \u0000 text \ud800';
    model.answer = () => ({ status: 422, error: { message, code: 'a\u0000\udfff' } });
    const document = await library.publish(leave);
    expect(document).toMatchObject({ status: 'failed', error: { code: 'passage_refused' } });
    expect(document.error.message.isWellFormed()).toBe(true);
    expect(await eventsOf(document.id)).toEqual(['document.queued', 'document.processing', 'document.failed']);
  });
});

describe('a file whose name cannot be stored', () => {
  it('139: fails once for its own reason, and its name is kept without NUL', async () => {
    const boundary = 'a-boundary';
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="bro\u0000ken.pdf"\r\n\r\n`;
    const answer = await fetch(new URL(`/v1/knowledge-bases/${library.base}/documents`, service.url), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${service.key}`,
        'content-type': `multipart/form-data; boundary=${boundary}`,
      },
      body: `${head}%PDF-1.7 nothing of the kind\r\n--${boundary}--\r\n`,
    });
    expect(answer.status).toBe(202);
    const { id, title } = (await answer.json()) as { id: string; title: string };
    expect(title).not.toContain('\u0000');
    await service.settle();
    expect(await library.get(id)).toMatchObject({ status: 'failed', error: { code: 'unreadable_document' } });
    expect(await eventsOf(id)).toEqual(['document.queued', 'document.processing', 'document.failed']);
  });
});

describe('an outage of an hour', () => {
  it('143: uploads are accepted, none is given up, and the backlog drains in order when the provider is back', async () => {
    model.answer = () => ({ status: 503 });
    const waiting: string[] = [];
    for (let n = 0; n < 4; n++) {
      const { status, body } = await library.upload({ externalId: `${n}`, content: `Leave rule number ${n}.` });
      expect(status).toBe(202);
      waiting.push(body.id);
    }
    // More attempts than a document has leases, and enough calls to open the breaker.
    for (let round = 0; round < 6; round++) {
      for (const id of waiting) await library.waitIsOver(id);
      await service.settle();
    }
    expect(await ready()).toMatchObject({ status: 'degraded', checks: { embeddings: { status: 'open' } } });
    for (const id of waiting) expect(await library.get(id)).toMatchObject({ status: 'queued', error: null });
    const counted = await rows('select distinct leases, tries from revision where document_id = any($1::uuid[])', [
      waiting.map(uuid),
    ]);
    expect(counted).toEqual([{ leases: 0, tries: 1 }]);
    expect(await eventsOf(waiting[0] ?? '')).toEqual(['document.queued', 'document.processing']);
    model.asked.length = 0;
    expect(await library.search('railway')).toMatchObject({ mode: 'keyword', degraded: ['semantic'] });
    expect(model.asked).toEqual([]); // the breaker is open: nobody waits for a call
    model.answer = byMeaning;
    breakerRests();
    for (const id of waiting) await library.waitIsOver(id);
    await service.settle();
    for (const id of waiting) expect(await library.get(id)).toMatchObject({ status: 'ready' });
    const order = model.asked.flat().flatMap((text) => /number (\d)/.exec(text)?.[1] ?? []);
    expect(order).toEqual(['0', '1', '2', '3']);
    expect(await ready()).toMatchObject({ checks: { embeddings: { status: 'configured' } } });
  });
});
