import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminKey, type Answer } from '../service/harness.js';
import { type Scratch, scratchDatabase } from '../service/scratch.js';
import { drawn, until } from './until.js';

const script = fileURLToPath(new URL('../../samples/cluster.mjs', import.meta.url));
const count = 300;
const draw = drawn(20_261);
const content = (n: number) => `# Rule ${n}\n\nThe word of this rule is w${n}.\n\n## More\n\nIt holds for everyone.`;

/** An upload of which half has been sent, and that goes on when asked. */
function halfAnUpload(address: string, path: string, n: number) {
  const body = JSON.stringify({ externalId: `d${n}`, content: content(n), contentType: 'text/markdown' });
  const headers = {
    authorization: `Bearer ${adminKey}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
  const sending = request(address + path, { method: 'POST', headers });
  const status = new Promise<number | undefined>((resolve, reject) => {
    sending.once('error', reject);
    sending.once('response', (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode));
    });
  });
  status.catch(() => undefined);
  sending.write(body.slice(0, 20));
  return { status, finish: () => sending.end(body.slice(20)) };
}

// The embedded database has room for one process.
describe.skipIf(!process.env['DATABASE_URL'])('131: npm run cluster', () => {
  let scratch: Scratch;
  let dataDir: string;
  let cluster: ChildProcess;
  let told = '';
  const pids = new Map<string, number>();
  const addresses = new Map<string, string>();

  beforeAll(async () => {
    scratch = (await scratchDatabase({ blank: true }))!;
    dataDir = await mkdtemp(join(tmpdir(), 'lectern-cluster-'));
    const settings = { DATABASE_URL: scratch.url, REDIS_PREFIX: scratch.name, DATA_DIR: dataDir };
    // A killed worker's documents are free after 10 s, so that the test need not wait for 90; and a busy machine is no
    // reason to refuse here: what is counted is what an ending process refuses.
    const env = {
      ...process.env,
      ...settings,
      HOST: '127.0.0.1',
      ADMIN_API_KEY: adminKey,
      LEASE_SECONDS: '10',
      EVENT_LOOP_DELAY_MAX_MS: '60000',
    };
    cluster = spawn(process.execPath, [script, '--port', '0'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [cluster.stdout!, cluster.stderr!]) createInterface({ input: stream }).on('line', listen);
    await until('the cluster to be up', async () => told.includes('All of them are up'), 90);
  }, 120_000);
  afterAll(async () => {
    if (cluster.exitCode === null) {
      const ended = once(cluster, 'exit');
      cluster.kill('SIGINT');
      await ended;
    }
    await scratch.drop();
    await rm(dataDir, { recursive: true, force: true });
  }, 60_000);

  function listen(line: string): void {
    told += `${line}\n`;
    const [, name, pid, what, address] =
      /^(\w+ \d+) \(pid (\d+)\) (works|answers|ended)(?: at (\S+))?/.exec(line) ?? [];
    if (!name) return;
    if (what === 'ended') {
      pids.delete(name);
      addresses.delete(name);
      return;
    }
    pids.set(name, Number(pid));
    if (address) addresses.set(name, address);
  }

  const workers = () => [...pids.keys()].filter((name) => name.startsWith('worker'));
  let missing = 0;
  function startWorker(): void {
    missing -= 1;
    cluster.stdin!.write('worker\n');
  }
  function killWorker(): void {
    const name = workers()[Math.floor(draw() * workers().length)];
    const pid = pids.get(name ?? '');
    if (name === undefined || pid === undefined) return;
    pids.delete(name);
    missing += 1;
    process.kill(pid, 'SIGKILL');
  }

  /** As a balancer does: an API that takes no connection any more is left for the other. A status is never tried again. */
  async function call(method: string, path: string, body?: object): Promise<Pick<Answer, 'status' | 'body'>> {
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' };
    for (const address of [...addresses.values()].sort(() => draw() - 0.5)) {
      try {
        const answer = await fetch(address + path, { method, headers, body: body && JSON.stringify(body) });
        return { status: answer.status, body: await answer.json() };
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    }
    throw new Error(`no API answered:\n${told}`);
  }

  it(`${count} documents through both, workers killed and started at random, one API ended under load: each is ready once`, async () => {
    const base = (await call('POST', '/v1/knowledge-bases', { name: 'cluster' })).body.id;
    const documents = `/v1/knowledge-bases/${base}/documents`;
    const statuses: number[] = [];
    const refused: unknown[] = [];
    let next = 0;
    let endedApi = false;

    async function uploadSome(): Promise<void> {
      while (next < count) {
        const n = next++;
        const { status, body } = await call('POST', documents, {
          externalId: `d${n}`,
          content: content(n),
          contentType: 'text/markdown',
        });
        statuses.push(status);
        if (status !== 202) refused.push(body);
        if (draw() < 0.03 && workers().length > 1) killWorker();
        else if (draw() < 0.1 && missing > 0) startWorker();
        if (n >= count / 2 && !endedApi) {
          endedApi = true;
          await endAnApi();
        }
      }
    }

    async function endAnApi(): Promise<void> {
      const [name = '', address = ''] = [...addresses][0] ?? [];
      const pid = pids.get(name)!;
      const halves = [next++, next++, next++].map((n) => halfAnUpload(address, documents, n));
      await call('GET', documents); // by now the halves have arrived
      await fetch(`${address}/health/live`);
      process.kill(pid, 'SIGTERM');
      await until('the listener to close', async () =>
        fetch(`${address}/health/live`).then(
          () => false,
          () => true,
        ),
      );
      addresses.delete(name);
      for (const { finish } of halves) finish();
      statuses.push(...(await Promise.all(halves.map(async ({ status }) => (await status) ?? 0))));
      await until('the API to end', async () => told.includes(`${name} (pid ${pid}) ended with `), 30);
      expect(told).toContain(`${name} (pid ${pid}) ended with 0`);
    }

    await Promise.all(Array.from({ length: 6 }, uploadSome));
    expect(refused).toEqual([]);
    expect(new Set(statuses)).toEqual(new Set([202]));
    expect(statuses).toHaveLength(count);
    expect(told).toContain('ended with SIGKILL');
    if (missing > 0) startWorker();

    const database = new Client({ connectionString: scratch.url });
    await database.connect();
    try {
      const numbers = async (sql: string) => (await database.query<{ n: number }>(sql)).rows.map(({ n }) => n);
      const ready = `select count(*)::int as n from revision where status = 'ready'`;
      await until('all to be ready', async () => (await numbers(ready))[0] === count, 240);
      expect(await numbers('select count(*)::int as n from document')).toEqual([count]);
      expect(await numbers('select count(*)::int as n from revision')).toEqual([count]);
      const perRevision = (what: string) => numbers(`select count(*)::int as n from ${what} group by count order by 1`);
      const perEvent = `(select count(*) from event where type = 'document.ready' group by data->>'revisionId') e`;
      expect(await perRevision(perEvent)).toEqual([count]);
      const chunks = `(select count(*) from chunk where not isempty(visible) group by revision_id) c`;
      expect(await perRevision(chunks)).toEqual([count]);
      expect(await numbers(`select count(*)::int as n from event where type = 'document.ready'`)).toEqual([count]);
      const staged = 'select count(*)::int as n from chunk where isempty(visible)';
      expect(await numbers(staged)).toEqual([0]);
    } finally {
      await database.end();
    }
    const { results } = (await call('POST', `/v1/knowledge-bases/${base}/search`, { query: 'w123', mode: 'keyword' }))
      .body;
    expect(results.map((result: { document: { externalId: string } }) => result.document.externalId)).toEqual(['d123']);
  }, 360_000);

  it('are ended in order by Ctrl-C', async () => {
    const ended = once(cluster, 'exit');
    cluster.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    expect(told.match(/ended with (?!0|SIGKILL)/g)).toBeNull();
  });
});
