import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { after, partOf, readCommits } from '../../bench/replay/commits.mjs';
import { startCountingModel } from '../../bench/replay/counting-model.mjs';
import { play } from '../../bench/replay/play.mjs';
import { Client } from '../../samples/demo/client.mjs';
import { type Service, startService } from './harness.js';
import { openLibrary } from './library.js';

const folder = fileURLToPath(new URL('../../../shared/data/docsite/nestjs', import.meta.url));

// As with filings: too large for this repository, but CI must have it.
const without = !existsSync(folder) && !process.env['CI'];

const lastCommits = 3;

/** The last commits, of the articles that they change and every twenty-fourth other. */
async function lately() {
  const { start, commits, end } = await readCommits(folder);
  const last = commits.slice(-lastCommits);
  const changed = new Set(last.flatMap(({ changes }) => changes.map(({ path }) => path)));
  const others = new Set([...end.keys()].filter((_, at) => at % 24 === 0));
  const before = commits.slice(0, -lastCommits).reduce(after, start);
  return partOf({ start: before, commits: last, end }, (path) => changed.has(path) || others.has(path));
}

describe.skipIf(without)('a documentation site that comes commit by commit through the hook of its CMS', () => {
  let service: Service;
  let model: Awaited<ReturnType<typeof startCountingModel>>;
  let history: Awaited<ReturnType<typeof lately>>;
  let played: Awaited<ReturnType<typeof play>>;

  const newBase = async () => {
    const { base } = await openLibrary(service);
    return { id: base, path: `/v1/knowledge-bases/${base}` };
  };

  beforeAll(async () => {
    history = await lately();
    model = await startCountingModel();
    service = await startService({ env: model.env });
    const owner = new Client(service.url, service.key);
    const { taken } = model;
    played = await play({ owner, history, newBase, taken, served: () => service.settle() });
  }, 180_000);
  afterAll(async () => {
    await service?.stop();
    model?.stop();
  });

  it('embeds after each commit what it changed and nothing else, and its receipts say so', () => {
    expect(played.first.embedded).toBe(played.first.chunks);
    expect(played.rows).toHaveLength(lastCommits);
    for (const row of played.rows) {
      expect(row.changed, row.commit).toBeGreaterThan(0);
      expect([row.embedded, row.receipted], row.commit).toEqual([row.changed, row.changed]);
      expect(row.changed, row.commit).toBeLessThan(row.chunks / 10);
    }
  });

  it('serves after each commit what its files say', () => {
    expect([played.first, ...played.rows].flatMap(({ flaws }) => flaws)).toEqual([]);
  });

  it('answers a reader who asks throughout, each time from one version', () => {
    expect(played.reader.failed).toEqual([]);
    expect(played.reader.strays).toEqual([]);
    expect(played.reader.asked).toBeGreaterThan(lastCommits);
    expect(played.reader.versions).toBeGreaterThan(1);
  });

  it('ends as a new base that got the last files at once, chunk for chunk', () => {
    expect(played.differences).toMatchObject({ articles: history.end.size, differing: [] });
    expect(played.differences.chunks).toBe(played.rows.at(-1)?.chunks);
  });
});
