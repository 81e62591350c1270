import { afterAll, beforeAll, expect, it } from 'vitest';
import { estimated } from '../../src/platform/models/tokens.js';
import { startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { openLibrary } from './library.js';

const most = 64;

let service: Service;
let embeddings: Awaited<ReturnType<typeof startEmbeddingServer>>;

beforeAll(async () => {
  embeddings = await startEmbeddingServer();
  service = await startService({ env: { ...embeddings.env, EMBEDDING_MAX_TOKENS: String(most) } });
});
afterAll(async () => {
  await service.stop();
  embeddings.stop();
});

const make = (chunking?: object) =>
  service.call('POST', '/v1/knowledge-bases', {
    body: { name: JSON.stringify(chunking ?? 'default'), ...(chunking ? { pipeline: { chunking } } : {}) },
  });

it('a base says its sizes in tokens, or in characters if it was made so, and never in both', async () => {
  expect((await make()).body.pipeline.chunking).toEqual({ targetTokens: 275, maxTokens: 325 });
  expect((await make({ targetTokens: 30 })).body.pipeline.chunking).toEqual({ targetTokens: 30, maxTokens: 325 });
  expect((await make({ maxChars: 500 })).body.pipeline.chunking).toEqual({ targetChars: 500, maxChars: 500 });
  const both = await make({ targetTokens: 100, maxChars: 500 });
  expect(both.body).toMatchObject({ code: 'validation_failed', errors: [{ field: 'pipeline.chunking' }] });
});

it('nothing is embedded that is longer than the model takes, and nothing is lost for it', async () => {
  const library = await openLibrary(service);
  const heading = 'Of the harbours in the north and of the people who look after them';
  const prose = 'The harbour master is to be asked before anybody moors at the quay. ';
  const rows = Array.from({ length: 30 }, (_, row) => `| Port ${row} | ${row}.4 m | 1,${row}00 |`).join('\n');
  const content = `# ${heading}\n\n## ${heading}\n\n${prose.repeat(30)}\n\n| Port | Draught | Berths |\n|---|---|---|\n${rows}`;
  const { id, status } = await library.publish({ title: 'Harbours', content });
  expect(status).toBe('ready');
  const texts = embeddings.asked.flat();
  expect(texts.length).toBeGreaterThan(10);
  for (const text of texts) expect(estimated.count(text)).toBeLessThanOrEqual(most);
  const { text } = (await library.call('GET', `/documents/${id}/content`)).body;
  const { data } = (await library.call('GET', `/documents/${id}/chunks?limit=200`)).body;
  const cut = data.map((chunk: { text: string }) => chunk.text).join('');
  expect(cut.replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
});
