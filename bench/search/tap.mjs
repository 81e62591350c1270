// Loaded before the service (node --import): lets a bench see which statements a request sends, and send the same ones
// itself over `pg`, without the service around them. In the service's own process, because the embedded database lets no
// other one in. Listens on loopback at BENCH_TAP_PORT and takes, by POST: {record: true}; {keep, matching}, which ends the
// recording and keeps under a name what matches; {replay}, a name; {statements}.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { Client } from 'pg';

const port = Number(process.env.BENCH_TAP_PORT);
if (isMainThread && port) open();

function open() {
  /** @type {{ text: string, values: unknown[] }[] | null} */
  let seen = null;
  /** @type {Map<string, { text: string, values: unknown[] }[]>} */
  const kept = new Map();
  const { query } = Client.prototype;
  Client.prototype.query = function (config, values, ...rest) {
    const text = typeof config === 'string' ? config : config?.text;
    const bound = typeof config === 'string' ? values : (config?.values ?? values);
    if (seen && text) seen.push({ text, values: Array.isArray(bound) ? bound : [] });
    return query.call(this, config, values, ...rest);
  };
  const client = lazily(connect);
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      answer(JSON.parse(body)).then(
        (found) => response.end(JSON.stringify(found)),
        (error) => response.writeHead(500).end(JSON.stringify({ message: error.message })),
      );
    });
  });
  server.listen(port, '127.0.0.1').unref();

  async function answer({ record, keep, matching, replay, statements }) {
    if (record) seen = [];
    if (keep !== undefined) {
      const found = (seen ?? []).filter(({ text }) => new RegExp(matching).test(text));
      seen = null;
      kept.set(keep, found);
      return found.map(({ text }) => text);
    }
    const own = await client();
    const began = performance.now();
    let rows = [];
    // One transaction, as the service has it: settings that are local to one hold for the statements after them.
    if (replay !== undefined) await own.query('begin');
    for (const { text, values } of statements ?? kept.get(replay) ?? []) ({ rows } = await own.query(text, values));
    if (replay !== undefined) await own.query('commit');
    return { ms: performance.now() - began, rows: statements ? rows : [] };
  }
}

/** Whoever owns the database: what a bare statement costs without row-level security. */
async function connect() {
  const url = process.env.DATABASE_URL;
  if (url) {
    const client = new Client({ connectionString: url, options: '-c search_path=public,bullmq -c jit=off' });
    await client.connect();
    return client;
  }
  const { EmbeddedPool } = await import('../../dist/platform/embedded/pool.js');
  const pool = new EmbeddedPool({ dataDir: join(process.env.DATA_DIR ?? '', 'database'), urgent: true });
  return pool.connect();
}

/** @template T @param {() => Promise<T>} make @returns {() => Promise<T>} */
function lazily(make) {
  /** @type {Promise<T> | undefined} */
  let made;
  return () => (made ??= make());
}
