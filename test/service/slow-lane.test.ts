import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

describe('a file that takes long to read', () => {
  let service: Service;
  let library: Library;

  beforeAll(async () => {
    service = await startService({ env: { PARSER_PATIENCE_MS: '100', PARSER_MAX_CHUNKS: '500' } });
    library = await openLibrary(service);
  });
  afterAll(() => service?.stop());

  // Marks are what Markdown takes its time for: a second for this much, which is far more than it gets.
  const dense = `# Tides\n\n${'**a** _b_ `c` [d](e) | '.repeat(4_000)}\n\nThe tide is high at noon.`;

  const laneOf = async (id: string) =>
    service
      .database()
      .asSystem((tx) =>
        tx.row<{ lane: string }>('select lane from revision where document_id = $1', [id.replace('doc_', '')]),
      );

  it('leaves its place, is read apart with all its time, and answers', async () => {
    const short = await library.upload({ title: 'Short', content: 'The moon pulls the sea.' });
    const { body } = await library.upload({ title: 'Dense', content: dense });
    await service.settle();
    expect(await laneOf(body.id)).toEqual({ lane: 'slow' });
    expect(await library.get(body.id)).toMatchObject({ status: 'ready', error: null });
    expect((await library.search('when is the tide high')).results[0]?.document.id).toBe(body.id);
    expect(await library.get(short.body.id)).toMatchObject({ status: 'ready' });
    const told = await service.call('GET', '/v1/events?limit=200');
    const about = told.body.data.filter(({ data }: { data: { documentId: string } }) => data.documentId === body.id);
    expect(about.map(({ type }: { type: string }) => type).toSorted()).toEqual([
      'document.processing',
      'document.queued',
      'document.ready',
    ]);
  });

  it('that makes more passages than are accepted fails by name', async () => {
    const content = Array.from({ length: 600 }, (_, at) => `# Part ${at}\n\nWords of part ${at}.`).join('\n\n');
    const { body } = await library.upload({ title: 'Parts', content });
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'failed', error: { code: 'chunk_limit' } });
  });
});
