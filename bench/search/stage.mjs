import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { Client } from '../../samples/demo/client.mjs';
import { progress } from '../eval/progress.mjs';
import { allAnswer, inParallel, patiently, pause, startForBench } from '../load.mjs';
import { openCorpus } from './corpus.mjs';

const tap = new URL('tap.mjs', import.meta.url).href;

/**
 * The service with a tap on its database, a base that grows to any number of passages through the upload call, and a
 * caller for any group that sees a part of it.
 */
export async function openStage() {
  const port = await freePort();
  const service = await startForBench({
    NODE_OPTIONS: `--import=${tap}`,
    BENCH_TAP_PORT: String(port),
    QUEUE_MAX_PER_TENANT: '100000',
  });
  const owner = await service.newTenant();
  const corpus = await openCorpus();
  const { id } = await owner.post('/v1/knowledge-bases', { name: randomUUID() });
  const base = `/v1/knowledge-bases/${id}`;
  let uploaded = 0;
  let passages = 0;

  const tapped = async (/** @type {object} */ wish) => {
    const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: JSON.stringify(wish) });
    const found = await response.json();
    if (!response.ok) throw new Error(found.message);
    return found;
  };
  /** Uploads until the base holds so many passages. @param {number} target @returns {Promise<number>} ms */
  const grow = async (target) => {
    const began = performance.now();
    const shown = progress(`passages, of ${target}`, target);
    while (passages < target) {
      const perDocument = uploaded === 0 ? 50 : passages / uploaded;
      const more = Math.max(1, Math.min(500, Math.ceil((target - passages) / perDocument)));
      const numbers = Array.from({ length: more }, (_, at) => uploaded + at);
      await inParallel(numbers, 8, (number) =>
        patiently.execute(() => owner.post(`${base}/documents`, corpus.document(number))),
      );
      uploaded += more;
      const { stats, failed } = await allAnswer(owner, base, uploaded, { everyMs: 200 });
      if (failed.length > 0) throw new Error(`not all documents could be read: ${JSON.stringify(failed)}`);
      passages = stats.chunks;
      shown.at(Math.min(passages, target));
    }
    shown.end();
    await settled();
    return performance.now() - began;
  };

  /** Merges and statistics come after the last document: what is measured is a base that has been there for a while. */
  const settled = async () => {
    // A server does so by itself, sooner or later; nothing does on the embedded engine.
    if (service.lane !== 'embedded') await tapped({ statements: [{ text: 'analyze', values: [] }] });
    for (let before = -1; ;) {
      const { rows } = await tapped({
        statements: [{ text: 'select count(*)::int as count from segment', values: [] }],
      });
      if (rows[0].count === before || rows[0].count < 40) return;
      before = rows[0].count;
      await pause(20_000);
    }
  };

  /** @param {string} group */
  const callerOf = async (group) => {
    const { token } = await owner.post('/v1/tokens', {
      subject: `of ${group}`,
      groups: [group],
      scopes: ['search'],
      ttlSeconds: 3600,
    });
    return new Client(service.url, token);
  };
  return {
    lane: service.lane,
    questions: corpus.questions,
    document: corpus.document,
    base,
    owner,
    grow,
    tapped,
    passages: () => passages,
    documents: () => uploaded,
    callerOf,
    stop: service.stop,
  };
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
