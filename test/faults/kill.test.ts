import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, makeMortal, type MortalService } from './mortal-service.js';

const count = 50;
const unique = (n: number) => `zyx${String.fromCharCode(97 + Math.floor(n / 10), 97 + (n % 10))}wv`;
const content = (n: number) =>
  `# Rule ${n}\n\nThe word of this rule is ${unique(n)}.\n\n## More\n\n${'It holds for everyone in the house. '.repeat(60)}`;

let service: MortalService;

beforeAll(async () => {
  service = await makeMortal();
});
afterAll(() => service.remove());

const call = (method: string, path: string, body?: unknown) => service.request(method, path, { body });

const makeBase = async (name: string): Promise<string> =>
  `/v1/knowledge-bases/${(await call('POST', '/v1/knowledge-bases', { name })).body.id}`;

/** Whoever is refused because the machine is busy comes again, as the answer asks. */
async function upload(base: string, n: number): Promise<number> {
  const document = { externalId: `d${n}`, content: content(n), contentType: 'text/markdown' };
  for (;;) {
    const { status } = await call('POST', `${base}/documents`, document);
    if (status !== 503) return status;
    await pause(1000);
  }
}

/** @returns how many documents are ready */
async function ready(base: string): Promise<number> {
  return (await call('GET', `${base}/documents?status=ready&limit=200`)).body.data.length;
}

describe('kill -9 in the middle of ingesting 50 documents', () => {
  it('leaves every one of them ready after the next start, none twice, none lost', async () => {
    await service.start();
    const base = await makeBase('killed');
    const accepted = await Promise.all(Array.from({ length: count }, (_, n) => upload(base, n)));
    expect(accepted).toEqual(Array.from({ length: count }, () => 202));
    await service.until('some to be ready', async () => (await ready(base)) > 0);
    const before = await ready(base);
    await service.kill();
    expect(before).toBeLessThan(count);
    await service.passTime();

    const restarted = performance.now();
    await service.start();
    await service.until('all to be ready', async () => (await ready(base)) === count);
    // Leases last 90 s: whoever waits for them to end takes longer than this.
    expect(performance.now() - restarted).toBeLessThan(60_000);

    const { data } = (await call('GET', `${base}/documents?limit=200`)).body;
    expect(data.map(({ externalId }: Json) => externalId).sort()).toEqual(
      Array.from({ length: count }, (_, n) => `d${n}`).sort(),
    );
    for (const document of data)
      expect(document).toMatchObject({ revision: { number: 1 }, activeRevision: { number: 1 }, error: null });

    // A base that nobody killed says what is right.
    const clean = await makeBase('clean');
    await upload(clean, 0);
    await service.until('the clean run', async () => (await ready(clean)) === 1);
    const chunksOf = async (of: string, id: string) =>
      (await call('GET', `${of}/documents/${id}/chunks`)).body.data.map(({ ordinal }: Json) => ordinal);
    const expected = await chunksOf(clean, (await call('GET', `${clean}/documents`)).body.data[0].id);
    expect(expected.length).toBeGreaterThan(1);
    for (const { id } of data) expect(await chunksOf(base, id)).toEqual(expected);
    const { activeVersion } = (await call('GET', base)).body;
    const { stats } = (await call('GET', `${base}/versions/${activeVersion}`)).body;
    expect(stats).toEqual({ documents: count, chunks: count * expected.length });

    for (let n = 0; n < count; n++) {
      const { results } = (await call('POST', `${base}/search`, { query: unique(n), mode: 'keyword' })).body;
      expect(results.map((result: Json) => result.document.externalId)).toEqual([`d${n}`]);
    }

    const events = (await call('GET', '/v1/events?limit=200')).body.data.filter(
      ({ type, data: about }: Json) => type === 'document.ready' && base.endsWith(about.knowledgeBaseId),
    );
    expect(events).toHaveLength(count);
  });
});
