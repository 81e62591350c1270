import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeToken } from './callers.js';
import { type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { type Asked, type RerankStyle, startRerankServer, type Verdict } from './rerank-server.js';

interface Found {
  document: { externalId: string };
  score: number;
  signals: Record<string, number | null>;
  explanation?: { parts: Record<string, number> };
}

/** The shorter the better: nothing the legs would say. */
const shortest = ({ texts }: Asked): number[] => texts.map(({ length }) => 1 / length);

let service: OwnService;
let library: Library;

const contents = Array.from(
  { length: 40 },
  (_, n) => `Leave of kind ${n} is told here. ${`Kind ${n} has its rules of leave. `.repeat(40 - n)}`,
);

beforeAll(async () => {
  service = await startService();
  library = await openLibrary(service);
  for (const [n, content] of contents.entries())
    await library.upload({ externalId: `kind-${n}`, title: `Kind ${n}`, content });
  await library.upload({
    externalId: 'hidden',
    content: 'Leave for the board.',
    access: { visibility: 'restricted', allow: ['group:board'] },
  });
  await service.settle();
});
afterAll(() => service.stop());

const named = (results: Found[]) => results.map(({ document }) => document.externalId);
const asAda = () => makeToken(service, service.key, { scopes: ['search'] });

async function search(more: Record<string, unknown> = {}, key?: string) {
  const answer = await library.search('leave', { mode: 'keyword', ...more }, key === undefined ? {} : { key });
  return { degraded: answer.degraded as string[], results: answer.results as Found[] };
}

it('without a reranker the fused order is nothing to be sorry for', async () => {
  const { degraded, results } = await search();
  expect(degraded).toEqual([]);
  expect(results[0]?.signals['rerank']).toBeNull();
});

describe.each<RerankStyle>(['cohere', 'jina', 'tei'])('a reranker that speaks like %s', (style) => {
  let server: Awaited<ReturnType<typeof startRerankServer>>;
  let plain: string[];

  beforeAll(async () => {
    server = await startRerankServer(style, shortest);
    await service.restart(server.env);
    plain = named((await search({ rank: { rerank: false } }, await asAda())).results);
  });
  afterAll(() => server.stop());

  it('has the last word on the order, and its scores stand in the signals', async () => {
    server.asked.length = 0;
    const { degraded, results } = await search({ topK: 5, explain: true }, await asAda());
    expect(degraded).toEqual([]);
    expect(named(results)).toEqual(['kind-39', 'kind-38', 'kind-37', 'kind-36', 'kind-35']);
    expect(plain.slice(0, 5)).not.toEqual(named(results));
    for (const { score, signals, explanation } of results) {
      expect(signals['rerank']).toBe(score);
      expect(explanation?.parts['rerank']).toBe(score);
    }
    const bodies = server.asked.map(({ body }) => body);
    for (const { path, key, query } of server.asked)
      expect([path, key, query]).toEqual(['/v9/rerank', 'Bearer the-key-of-the-reranker', 'leave']);
    if (style === 'tei') {
      // It takes 32 at a time unless it was started otherwise, and refuses what is too long unless it may cut.
      expect(server.asked.map(({ texts }) => texts.length).sort()).toEqual([32, 8]);
      expect(bodies[0]).toMatchObject({ truncate: true });
      expect(bodies[0]).not.toHaveProperty('model');
    } else {
      expect(bodies).toEqual([expect.objectContaining({ model: 'scripted', top_n: 40 })]);
    }
  });

  it('is not shown what the caller may not see', async () => {
    server.asked.length = 0;
    await search({}, await asAda());
    expect(JSON.stringify(server.asked)).not.toContain('board');
  });

  it('is left alone where that is wished for', async () => {
    server.asked.length = 0;
    const { degraded, results } = await search({ rank: { rerank: false } }, await asAda());
    expect([degraded, named(results), server.asked]).toEqual([[], plain, []]);
  });

  it.each<[string, (asked: Asked) => Verdict]>([
    ['fails', () => ({ status: 500 })],
    ['refuses its key', () => ({ status: 401 })],
    ['says nothing', () => 'hang'],
    ['gives one score too few', (asked) => shortest(asked).slice(1)],
    ['gives one score too many', (asked) => [...shortest(asked), 0.5]],
    ['gives null, which is how JSON writes NaN', (asked) => [null, ...shortest(asked).slice(1)]],
    ['gives a text for a score', (asked) => ['0.5', ...shortest(asked).slice(1)]],
    ['answers with a page', () => ({ raw: '<html>busy</html>' })],
    ['answers with something else', () => ({ raw: '{"results":{"index":0}}' })],
    ['scores one text twice', ({ texts }) => ({ raw: twice(style, texts.length) })],
  ])('that %s leaves the fused order, marked so', async (_name, judge) => {
    server.judge = judge;
    const { degraded, results } = await search({}, await asAda());
    expect([degraded, named(results)]).toEqual([['rerank'], plain]);
    expect(results[0]?.signals['rerank']).toBeNull();
    server.judge = shortest;
  });
});

/** As many scores as there are texts, all of them for the first. */
function twice(style: RerankStyle, texts: number): string {
  const results = Array.from({ length: texts }, () => ({ index: 0, score: 0.5, relevance_score: 0.5 }));
  return JSON.stringify(style === 'tei' ? results : { results });
}
