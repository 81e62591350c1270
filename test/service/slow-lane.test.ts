import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

// Marks are what Markdown takes its time for: half a second for this much, which is far more than it gets.
const tides = (hour: string) => `# Tides\n\n${'**a** _b_ `c` [d](e) | '.repeat(2_000)}\n\nThe tide is high at ${hour}.`;

describe('a file that takes long to read', () => {
  let service: OwnService;
  let library: Library;

  beforeAll(async () => {
    service = await startService({ env: { PARSER_PATIENCE_MS: '100', PARSER_MAX_CHUNKS: '500' } });
    library = await openLibrary(service);
  });
  afterAll(() => service?.stop());

  const laneOf = async (id: string) =>
    service
      .database()
      .asSystem((tx) =>
        tx.row<{ lane: string }>('select lane from revision where document_id = $1', [id.replace('doc_', '')]),
      );

  const isReady = async (id: string) => (await library.get(id)).status === 'ready';

  it('leaves its place and goes on in one of its own, and one more is read again later, with all its time', async () => {
    const dense = ['noon', 'midnight'].map((hour) => library.upload({ title: `At ${hour}`, content: tides(hour) }));
    const long = (await Promise.all(dense)).map(({ body }) => body.id);
    const short = (await library.upload({ title: 'Short', content: 'The moon pulls the sea.' })).body.id;
    await service.work();
    await expect.poll(() => isReady(short), { timeout: 60_000, interval: 200 }).toBe(true);
    for (const id of long) await expect.poll(() => isReady(id), { timeout: 150_000, interval: 500 }).toBe(true);
    expect((await Promise.all(long.map(laneOf))).map((row) => row?.lane).toSorted()).toEqual(['slow', 'slow']);
    expect((await library.search('when is the tide high at noon')).results[0]?.document.id).toBe(long[0]);
    const told = await service.call('GET', '/v1/events?limit=200');
    for (const id of long) {
      const about = told.body.data.filter(({ data }: { data: { documentId: string } }) => data.documentId === id);
      expect(about.map(({ type }: { type: string }) => type).toSorted()).toEqual([
        'document.processing',
        'document.queued',
        'document.ready',
      ]);
    }
  }, 240_000);

  it('holds up no other while it is read there, though there is but one worker', async () => {
    const alone = await startService({ env: { PARSER_PATIENCE_MS: '100', HEAVY_CONCURRENCY: '1' } });
    try {
      const theirs = await openLibrary(alone);
      await alone.work();
      const long = (await theirs.upload({ title: 'Long', content: tides('noon').repeat(6) })).body.id;
      await expect
        .poll(async () => (await theirs.get(long)).status, { timeout: 60_000, interval: 200 })
        .toBe('parsing');
      const short = (await theirs.upload({ title: 'Short', content: 'The moon pulls the sea.' })).body.id;
      await expect.poll(async () => (await theirs.get(short)).status, { timeout: 60_000, interval: 200 }).toBe('ready');
      expect((await theirs.get(long)).status).toBe('parsing');
    } finally {
      await alone.stop();
    }
  }, 240_000);

  it('that makes more passages than are accepted fails by name', async () => {
    const content = Array.from({ length: 600 }, (_, at) => `# Part ${at}\n\nWords of part ${at}.`).join('\n\n');
    const { body } = await library.upload({ title: 'Parts', content });
    const failed = { status: 'failed', error: { code: 'chunk_limit' } };
    await expect.poll(() => library.get(body.id), { timeout: 50_000, interval: 200 }).toMatchObject(failed);
  });
});
