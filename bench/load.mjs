import { randomUUID } from 'node:crypto';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import { Client as DatabaseClient } from 'pg';
import { Client } from '../samples/demo/client.mjs';
import { Disappointment } from '../samples/demo/page.mjs';
import { startService } from '../samples/demo/service.mjs';

const adminKey = 'the-admin-key-of-a-bench-run';
const words =
  'archive badge board branch bridge budget cable carrier clause coffee corner council courier delay deposit desk draft driver engine entry fabric filter flight folder garage ground handle harbor invoice kitchen ladder ledger letter locker manual market meter north notice office orchard packet parking permit pocket policy printer quarter ramp record refund repair report review roof safety sample screen season shelf signal station storage studio summer supply switch ticket timber torque tower travel valve vendor visitor volume waiter warehouse window winter yard'.split(
    ' ',
  );

/**
 * Starts the built service on data of its own: embedded, or a scratch database on the server that DATABASE_URL names
 * (with REDIS_URL's queue, if it is set).
 *
 * @param {Record<string, string>} [settings]
 */
export async function startForBench(settings = {}) {
  const engine = await scratchEngine();
  const undo = [engine.drop];
  const stop = async () => {
    while (undo.length > 0) await undo.pop()?.();
  };
  try {
    const env = { LOG_LEVEL: 'info', ADMIN_API_KEY: adminKey, ...engine.env, ...settings };
    const { url, pid } = await startService((end) => void undo.push(end), env);
    const admin = new Client(url, adminKey);
    const newTenant = async () => new Client(url, (await admin.post('/v1/tenants', { name: randomUUID() })).apiKey);
    return { lane: engine.lane, url, pid, newTenant, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where data of a bench may be: embedded, or a scratch database with the queue beside it. */
export async function scratchEngine() {
  const { DATABASE_URL: server, REDIS_URL: redis } = process.env;
  if (!server) return { lane: 'embedded', env: {}, drop: async () => undefined };
  const name = `lectern_bench_${randomUUID().replaceAll('-', '')}`;
  const run = async (/** @type {string} */ sql) => {
    const client = new DatabaseClient({ connectionString: server });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await run(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const queue = redis ? { REDIS_URL: redis, REDIS_PREFIX: name } : undefined;
  return {
    lane: queue ? 'PostgreSQL and Redis' : 'PostgreSQL',
    env: { DATABASE_URL: url.href, ...queue },
    drop: () => run(`drop database ${name} with (force)`),
  };
}

/** Makes a knowledge base. @param {Client} client @returns {Promise<string>} its path */
export async function newBase(client) {
  return `/v1/knowledge-bases/${(await client.post('/v1/knowledge-bases', { name: randomUUID() })).id}`;
}

/** @param {Client} client @param {string} base @param {number} kilobytes @returns {Promise<string>} the document's path */
export async function uploadArticle(client, base, kilobytes) {
  const document = { title: `Article ${randomUUID()}`, content: article(kilobytes), contentType: 'text/markdown' };
  return `${base}/documents/${(await client.post(`${base}/documents`, document)).id}`;
}

/** @param {Client} client @param {string} path @param {number} [everyMs] how often it is asked */
export async function untilReady(client, path, everyMs = 20) {
  for (;;) {
    const { status, error } = await client.get(path);
    if (status === 'ready') return;
    if (status === 'failed') throw new Error(JSON.stringify(error));
    await pause(everyMs);
  }
}

/**
 * Waits until every document of a base is in its active version or has failed, and names those that failed. Looks at the
 * base alone, and not often: whoever asks after each document all the time is part of the load.
 *
 * @param {Client} client
 * @param {string} base
 * @param {number} count
 * @param {{ everyMs?: number, tell?: (done: number) => void }} [options]
 */
export async function allAnswer(client, base, count, { everyMs = 50, tell } = {}) {
  const listEveryMs = 5000;
  /** @type {{ externalId: string | null, code: string }[]} */
  let failed = [];
  let stats = { documents: 0, chunks: 0 };
  let seen = 0;
  for (let listed = performance.now(); ; await pause(everyMs)) {
    const { activeVersion } = await client.get(base);
    if (activeVersion !== seen) ({ stats } = await client.get(`${base}/versions/${activeVersion}`));
    seen = activeVersion;
    // The list of failures goes through every document of the base.
    if (stats.documents < count && performance.now() - listed > listEveryMs) {
      failed = await failures(client, base);
      listed = performance.now();
    }
    tell?.(stats.documents + failed.length);
    if (stats.documents + failed.length >= count) return { stats, failed };
  }
}

/** @param {Client} client @param {string} base */
async function failures(client, base) {
  const found = [];
  for (let next = ''; ;) {
    const { data, nextCursor } = await client.get(`${base}/documents?status=failed&limit=100${next}`);
    for (const { externalId, error } of data) found.push({ externalId, code: error.code });
    if (!nextCursor) return found;
    next = `&cursor=${encodeURIComponent(nextCursor)}`;
  }
}

/** @param {number} kilobytes */
function article(kilobytes) {
  let text = '';
  while (text.length < kilobytes * 1024) {
    if (Math.random() < 0.1) text += `\n\n## ${sentence(4)}\n\n`;
    text += `${sentence(14)}. `;
  }
  return text;
}

/** @param {number} length */
export const sentence = (length) =>
  Array.from({ length }, () => words[Math.floor(Math.random() * words.length)]).join(' ');

/**
 * Does something with each, so many at a time. @returns what came of them, in their order
 *
 * @template T, R
 * @param {T[]} list
 * @param {number} atOnce
 * @param {(item: T) => Promise<R>} deed
 * @returns {Promise<R[]>}
 */
export async function inParallel(list, atOnce, deed) {
  /** @type {R[]} */
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < list.length) {
      const at = next++;
      results[at] = await deed(list[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, list.length) }, worker));
  return results;
}

const overloaded = handleWhen((error) => error instanceof Disappointment && /\b503\b/.test(error.message));

/** As a caller should: asks again, later each time, while the service says that it has too much to do. */
export const patiently = retry(overloaded, {
  maxAttempts: 50,
  backoff: new ExponentialBackoff({ initialDelay: 500, maxDelay: 5000 }),
});

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {number[]} times @param {number} share */
export function quantile(times, share) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** @param {() => Promise<unknown>} deed @returns {Promise<number>} how many ms it took */
export async function timed(deed) {
  const started = performance.now();
  await deed();
  return performance.now() - started;
}
