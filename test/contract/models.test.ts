import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config.js';
import { PermanentFailure } from '../../src/errors.js';
import { Embedder, type EmbeddingModel } from '../../src/platform/models/embedder.js';
import { ProviderFailure } from '../../src/platform/models/provider-failure.js';
import { byMeaning, items, type Reply, startEmbeddingServer } from '../service/embedding-server.js';

let server: Awaited<ReturnType<typeof startEmbeddingServer>>;

beforeAll(async () => {
  server = await startEmbeddingServer();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.answer = byMeaning;
  server.asked.length = 0;
  server.busiest = 0;
});
afterEach(() => vi.restoreAllMocks());

/** A model of its own for a test, whose breaker has seen nothing, and which knows already how long vectors are. */
async function models(env: Record<string, string> = {}): Promise<{ embedder: Embedder; model: EmbeddingModel }> {
  const embedder = new Embedder(readConfig({ ...server.env, ...env }));
  const model = embedder.preferred;
  await model.dimensions();
  server.asked.length = 0;
  return { embedder, model };
}

/** Answers the first calls so, and all later ones well. */
function first(...replies: Reply[]): void {
  server.answer = (texts) => replies.shift() ?? byMeaning(texts);
}

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'no failure',
    (error: unknown) => error,
  );

/** Moves the clock that the breaker reads. */
function later(ms: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + ms);
}

const texts = Array.from({ length: 64 }, (_, n) => (n % 2 === 0 ? `leave ${n}` : `train ${n}`));
const unit = (vector: number[] = []) => vector.map((value) => value / Math.hypot(...vector));
const right = byMeaning(texts).map(unit);

describe('141: an embedding provider that may come back', () => {
  it.each([408, 409, 425, 429, 500, 502, 503, 504])('141: is asked again after a %i', async (status) => {
    const { model } = await models({ EMBEDDING_RETRY_MS: '5000' });
    first({ status });
    await expect(model.embed(['leave'])).resolves.toMatchObject({ spoiled: null });
    expect(server.asked).toHaveLength(2);
  });

  it('141: is not asked again before its Retry-After', async () => {
    const { model } = await models({ EMBEDDING_RETRY_MS: '5000' });
    first({ status: 429, headers: { 'retry-after': '1' } });
    const begun = performance.now();
    await model.embed(['leave']);
    expect(performance.now() - begun).toBeGreaterThan(990);
    expect(server.asked).toHaveLength(2);
  });

  it('141: that asks for more patience than there is ends the call, and the wish is told', async () => {
    const { model } = await models({ EMBEDDING_RETRY_MS: '5000' });
    server.answer = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    expect(await failureOf(model.embed(['leave']))).toMatchObject({ kind: 'passing', retryAfterMs: 3_600_000 });
    expect(server.asked).toHaveLength(1);
  });

  it('141: is given up after five tries', async () => {
    const { model } = await models({ EMBEDDING_RETRY_MS: '60000' });
    vi.spyOn(Math, 'random').mockReturnValue(-0.98); // the pauses shrink to a hundredth
    server.answer = () => ({ status: 503 });
    expect(await failureOf(model.embed(['leave']))).toMatchObject({ kind: 'passing' });
    expect(server.asked).toHaveLength(5);
  });

  const faults: [string, Reply][] = [
    ['hangs', 'hang'],
    ['hangs up', 'reset'],
    ['answers with a web page', { raw: '<html>Sign in</html>' }],
    ['answers with half of a JSON', { raw: '{"data":[{"embedding":[0.1,' }],
    ['answers with another JSON', { raw: '{"result":"busy"}' }],
    ['answers null', { raw: 'null' }],
  ];
  it.each(faults)('141: fails in its time when it %s', async (_name, reply) => {
    const { preferred } = new Embedder(readConfig({ ...server.env, EMBEDDING_TIMEOUT_MS: '400' }));
    server.answer = () => reply;
    const failure = await failureOf(preferred.embed(['leave']));
    expect(failure).toBeInstanceOf(ProviderFailure);
    expect(failure).toMatchObject({ kind: 'passing' });
  });

  it('141: that never ends its answer is cut off, long before its time is over', async () => {
    const { model } = await models({ EMBEDDING_TIMEOUT_MS: '60000' });
    server.answer = () => ({ raw: ' '.repeat(1 << 20), forever: true });
    const failure = await failureOf(model.embed(['leave']));
    expect(failure).toMatchObject({ kind: 'passing', message: expect.stringContaining('longer than') });
  });

  it.each([
    ['nobody listens', 'http://127.0.0.1:1/v1'],
    ['the name is unknown', 'http://nothing.invalid/v1'],
  ])('141: fails when %s', async (_name, url) => {
    const { preferred } = new Embedder(readConfig({ ...server.env, EMBEDDING_BASE_URL: url }));
    expect(await failureOf(preferred.embed(['leave']))).toMatchObject({ name: 'ProviderFailure', kind: 'passing' });
  });

  it('141: fails when there is no TLS where it should be', async () => {
    const url = `https://127.0.0.1:${server.port}/v1`;
    const { preferred } = new Embedder(readConfig({ ...server.env, EMBEDDING_BASE_URL: url }));
    expect(await failureOf(preferred.embed(['leave']))).toMatchObject({ name: 'ProviderFailure', kind: 'passing' });
  });

  it('141: is asked by as many calls at once as the setting says, and no more', async () => {
    const { model } = await models({ EMBEDDING_CONCURRENCY: '3', EMBEDDING_TIMEOUT_MS: '1500' });
    server.answer = () => 'hang';
    await Promise.all(texts.slice(0, 20).map((text) => failureOf(model.embed([text]))));
    expect(server.busiest).toBe(3);
  });
});

describe('141: an embedding provider that refuses', () => {
  it.each([401, 402, 403, 404])(
    '141: with %i is not asked again, and the settings are named as the place to mend',
    async (status) => {
      const { model } = await models({ EMBEDDING_RETRY_MS: '60000' });
      server.answer = () => ({ status, error: { message: 'secret text', code: 'model_not_found' } });
      const failure = (await failureOf(model.embed(['leave']))) as PermanentFailure;
      expect(failure).toMatchObject({ code: 'embedding_refused', retryable: true });
      expect(failure.message).toContain(`${status} (model_not_found)`);
      expect(failure.message).not.toContain('secret text');
      expect(server.asked).toHaveLength(1);
    },
  );

  it('141: by sending elsewhere is not followed there: documents go to the configured address only', async () => {
    const { model } = await models();
    const elsewhere = await startEmbeddingServer();
    const location = `http://127.0.0.1:${elsewhere.port}/v1/embeddings`;
    server.answer = () => ({ status: 307, headers: { location } });
    expect(await failureOf(model.embed(['leave']))).toMatchObject({ code: 'embedding_refused' });
    expect(elsewhere.asked).toEqual([]);
    elsewhere.stop();
  });

  it('141: the very first call does not leave a wrong size behind', async () => {
    const { preferred } = new Embedder(readConfig(server.env));
    first({ status: 401 });
    expect(await failureOf(preferred.dimensions())).toMatchObject({ code: 'embedding_refused' });
    await expect(preferred.dimensions()).resolves.toBe(4);
  });
});

describe('141: the vectors of a batch', () => {
  it('141: belong to their texts in whatever order they come', async () => {
    const { model } = await models();
    server.answer = (some) => ({ data: items(some).toReversed() });
    expect((await model.embed(texts)).vectors).toEqual(right);
    expect(server.asked).toHaveLength(1);
  });

  it('141: are asked for one by one rather than mixed up when two claim the same place', async () => {
    const { model } = await models();
    server.answer = (some) => ({ data: items(some).map((item) => ({ ...item, index: 0 })) });
    expect((await model.embed(texts.slice(0, 4))).vectors).toEqual(right.slice(0, 4));
  });

  it('141: come whole from a model that takes fewer texts at a time', async () => {
    const { model } = await models();
    server.answer = (some) => (some.length > 16 ? { status: 413 } : byMeaning(some));
    expect(await model.embed(texts)).toEqual({ vectors: right, spoiled: null });
    expect(server.asked).toHaveLength(7);
  });

  const poisoned = 'train 41';
  const poison: [string, (some: string[]) => Reply, string][] = [
    ['a text the model refuses with 400', () => ({ status: 400 }), 'input'],
    ['a text the model refuses with 422', () => ({ status: 422 }), 'input'],
    ['a missing vector', (some) => byMeaning(some.filter((text) => text !== poisoned)), 'answer'],
    [
      'null for a number',
      (some) => byMeaning(some).map((v, n) => (some[n] === poisoned ? [null, 1, 1, 1] : v)),
      'answer',
    ],
    ['a vector of zeros', (some) => byMeaning(some).map((v, n) => (some[n] === poisoned ? [0, 0, 0, 0] : v)), 'answer'],
  ];
  it.each(poison)('141: %s is found among 64 in 13 calls or fewer, and spoils no other', async (_name, spoil, kind) => {
    const { model } = await models();
    server.answer = (some) => (some.includes(poisoned) ? spoil(some) : byMeaning(some));
    const { vectors, spoiled } = await model.embed(texts);
    expect(spoiled).toMatchObject({ place: 41, failure: { kind } });
    expect(vectors).toEqual(right.slice(0, 41));
    expect(server.asked.length).toBeLessThanOrEqual(13);
  });

  it('141: of another size than before are refused as a whole', async () => {
    const { model } = await models();
    server.answer = (some) => byMeaning(some).map((vector) => [...vector, 1]);
    expect(await failureOf(model.embed(texts))).toMatchObject({ code: 'bad_embedding', retryable: true });
    expect(server.asked).toHaveLength(1);
  });
});

/** Calls that find the provider well, then as many that do not. */
async function fail(model: EmbeddingModel, well: number, badly: number): Promise<void> {
  for (let call = 0; call < well; call++) await model.embed(['leave']);
  server.answer = () => ({ status: 503 });
  for (let call = 0; call < badly; call++) await failureOf(model.embed(['leave']));
  server.asked.length = 0;
}

describe('141: the breaker', () => {
  it('141: opens once half of the last 20 calls failed, and no call is made then', async () => {
    const { embedder, model } = await models();
    await fail(model, 9, 9); // and the probe: 19 calls
    expect(embedder.state).toBe('configured');
    await fail(model, 0, 1);
    expect(embedder.state).toBe('open');
    expect(() => model.check()).toThrow(ProviderFailure);
    expect(await failureOf(model.embed(['leave']))).toMatchObject({ kind: 'passing' });
    expect(await failureOf(model.embedQuery('leave', 4))).toMatchObject({ kind: 'passing' });
    expect(server.asked).toEqual([]);
  });

  it('141: lets one call through after 30 s, and closes when that is answered', async () => {
    const { embedder, model } = await models();
    await fail(model, 0, 19);
    later(31_000);
    expect(() => model.check()).not.toThrow();
    server.answer = byMeaning;
    const [one, ...others] = await Promise.all(
      ['leave', 'leave', 'leave'].map((text) => failureOf(model.embed([text]))),
    );
    expect(one).toBe('no failure');
    expect(others).toEqual([expect.any(ProviderFailure), expect.any(ProviderFailure)]);
    expect(server.asked).toHaveLength(1);
    expect(embedder.state).toBe('configured');
    await expect(model.embed(texts)).resolves.toMatchObject({ spoiled: null });
  });

  it('141: stays open for another 30 s when that call fails', async () => {
    const { embedder, model } = await models();
    await fail(model, 0, 19);
    later(31_000);
    await failureOf(model.embed(['leave']));
    server.answer = byMeaning;
    await failureOf(model.embed(['leave']));
    expect(server.asked).toHaveLength(1);
    expect(embedder.state).toBe('open');
  });

  it('141: does not count refusals: whoever refuses is there', async () => {
    const { embedder, model } = await models();
    for (const status of [400, 401]) {
      server.answer = () => ({ status });
      for (let call = 0; call < 15; call++) await failureOf(model.embed(['leave']));
    }
    expect(embedder.state).toBe('configured');
  });
});

describe('141: a question', () => {
  it('141: waits for its vector no longer than its setting, whatever documents are granted', async () => {
    const { model } = await models({ EMBEDDING_QUERY_TIMEOUT_MS: '300', EMBEDDING_TIMEOUT_MS: '60000' });
    server.answer = () => 'hang';
    const begun = performance.now();
    expect(await failureOf(model.embedQuery('leave', 4))).toMatchObject({ kind: 'passing' });
    expect(performance.now() - begun).toBeLessThan(50_000);
  });

  it('141: is tried a second time, and not a third', async () => {
    const { model } = await models();
    first({ status: 503 });
    await expect(model.embedQuery('leave', 4)).resolves.toEqual(right[0]);
    server.answer = () => ({ status: 503 });
    server.asked.length = 0;
    await failureOf(model.embedQuery('leave', 4));
    expect(server.asked).toHaveLength(2);
  });

  it('141: does not wait for a Retry-After', async () => {
    const { model } = await models();
    server.answer = () => ({ status: 429, headers: { 'retry-after': '2' } });
    await failureOf(model.embedQuery('leave', 4));
    expect(server.asked).toHaveLength(1);
  });
});
