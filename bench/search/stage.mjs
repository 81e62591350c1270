import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { Client } from '../../samples/demo/client.mjs';
import { progress } from '../eval/progress.mjs';
import { inParallel, pause, startForBench } from '../load.mjs';
import { groups, openCorpus } from './corpus.mjs';

const tap = new URL('tap.mjs', import.meta.url).href;

/**
 * The service with a tap on its database, a base that grows to any number of passages through the upload call, and a
 * caller for each group that sees a part of it.
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
  const active = async () => {
    const { activeVersion } = await owner.get(base);
    return activeVersion === 0
      ? { documents: 0, chunks: 0 }
      : (await owner.get(`${base}/versions/${activeVersion}`)).stats;
  };

  /** Uploads until the base holds so many passages. @param {number} target @returns {Promise<number>} ms */
  const grow = async (target) => {
    const began = performance.now();
    const shown = progress(`passages, of ${target}`, target);
    while (passages < target) {
      const perDocument = uploaded === 0 ? 50 : passages / uploaded;
      const more = Math.max(1, Math.min(500, Math.ceil((target - passages) / perDocument)));
      const numbers = Array.from({ length: more }, (_, at) => uploaded + at);
      await inParallel(numbers, 8, (number) => owner.post(`${base}/documents`, corpus.document(number)));
      uploaded += more;
      for (let stats = await active(); ; stats = await active()) {
        passages = stats.chunks;
        shown.at(Math.min(passages, target));
        if (stats.documents >= uploaded) break;
        await pause(200);
      }
    }
    shown.end();
    await settled();
    return performance.now() - began;
  };

  /** Merges and statistics come after the last document: what is measured is a base that has been there for a while. */
  const settled = async () => {
    await tapped({
      statements: ['document', 'chunk', 'chunk_vector', 'segment', 'segment_revision', 'posting', 'document_grant'].map(
        (table) => ({ text: `analyze ${table}`, values: [] }),
      ),
    });
    for (let before = -1; ;) {
      const { rows } = await tapped({
        statements: [{ text: 'select count(*)::int as segments from segment', values: [] }],
      });
      if (rows[0].segments === before || rows[0].segments < 40) return;
      before = rows[0].segments;
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
    base,
    owner,
    grow,
    tapped,
    passages: () => passages,
    documents: () => uploaded,
    callers: new Map(
      await Promise.all(groups.map(async ({ group }) => /** @type {const} */ ([group, await callerOf(group)]))),
    ),
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
