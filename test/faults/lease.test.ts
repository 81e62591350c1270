import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ingestion } from '../../src/ingestion/ingest.js';
import { type Service, startService } from '../service/harness.js';
import { openLibrary } from '../service/library.js';

function answer(response: ServerResponse, texts: string[]): void {
  const data = texts.map((text, index) => ({ object: 'embedding', index, embedding: [text.length, 1, 0.5] }));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } }));
}

describe('138: a worker that is stuck until its lease is another’s', () => {
  let service: Service;
  /** What the stuck worker waits for. */
  const waiting: (() => void)[] = [];
  let stuck = false;
  let asked = 0;
  const model = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked += 1;
      const { input } = JSON.parse(Buffer.concat(parts).toString()) as { input: string | string[] };
      const texts = [input].flat();
      if (stuck && texts.some((text) => text.includes('holds')))
        return void waiting.push(() => answer(response, texts));
      return answer(response, texts);
    });
  });

  beforeAll(async () => {
    model.listen(0, '127.0.0.1');
    await once(model, 'listening');
    const { port } = model.address() as AddressInfo;
    service = await startService({
      env: { EMBEDDING_BASE_URL: `http://127.0.0.1:${port}/v1`, EMBEDDING_MODEL: 'm', EMBEDDING_TIMEOUT_MS: '60000' },
    });
  });
  afterAll(async () => {
    await service.stop();
    model.closeAllConnections();
    model.close();
  });

  it('has its late writes refused: the second worker’s result stands, once', async () => {
    const library = await openLibrary(service);
    const content = Array.from({ length: 40 }, (_, n) => `# Rule ${n}\n\n${'It holds for everyone. '.repeat(20)}`).join(
      '\n\n',
    );
    const { body } = await library.upload({ externalId: 'd', content });
    const revisionId = body.revision.id.slice('rev_'.length);
    const ingestion = service.part(Ingestion);

    stuck = true;
    const first = ingestion.ingest(revisionId);
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stuck = false;
    const { rows } = await service.database().asOwner(async (tx) => ({
      rows: await tx.run('update revision set lease_expires_at = now() where id = $1', [revisionId]),
    }));
    expect(rows).toBe(1);
    const before = asked;
    expect(await ingestion.ingest(revisionId)).toBe(true);
    expect(asked).toBeGreaterThan(before);
    const chunks = async () =>
      service
        .database()
        .asOwner((tx) =>
          tx.rows<{ id: string; ordinal: number }>(
            'select id, ordinal from chunk where revision_id = $1 order by ordinal',
            [revisionId],
          ),
        );
    const stored = await chunks();
    expect(stored.length).toBeGreaterThan(1);

    for (const go of waiting) go();
    await first;
    expect(await chunks()).toEqual(stored);
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({ status: 'ready', error: null });
    const events = (await service.call('GET', '/v1/events?limit=200')).body.data;
    expect(events.filter(({ type }: { type: string }) => type === 'document.ready')).toHaveLength(1);
    expect(await chunks()).toEqual(stored);
  });
});
