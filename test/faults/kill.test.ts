import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

// The process that users start, not the test runner's view of it.
const main = join(process.env['LECTERN_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url)), 'main.js');

const count = 50;
const unique = (n: number) => `zyx${String.fromCharCode(97 + Math.floor(n / 10), 97 + (n % 10))}wv`;
const content = (n: number) =>
  `# Rule ${n}\n\nThe word of this rule is ${unique(n)}.\n\n## More\n\n${'It holds for everyone in the house. '.repeat(60)}`;

let dataDir: string;
let port: number;
let child: ChildProcess;
let output: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'lectern-kill-'));
  port = await freePort();
});
afterEach(async () => {
  await kill();
  await rm(dataDir, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}

/** `npm start` as it is, one document at a time so that the kill meets a queue. */
async function start(): Promise<void> {
  output = '';
  const env = {
    PATH: process.env['PATH'],
    DATA_DIR: dataDir,
    PORT: String(port),
    HOST: '127.0.0.1',
    HEAVY_CONCURRENCY: '2',
  };
  child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part: Buffer) => (output += part.toString()));
  await until('the service to listen', async () => {
    if (child.exitCode !== null) throw new Error(`it ended instead: ${output}`);
    return fetch(`http://127.0.0.1:${port}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
}

async function kill(): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Asks a process outside until it says yes: there is nothing here to step by hand. */
async function until(what: string, holds: () => Promise<boolean>, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}:\n${output.slice(-3000)}`);
    await pause(50);
  }
}

async function call(method: string, path: string, body?: unknown) {
  const key = (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim();
  const headers = {
    authorization: `Bearer ${key}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
  return { status: answer.status, body: (await answer.json()) as any };
}

const makeBase = async (name: string): Promise<string> =>
  `/v1/knowledge-bases/${(await call('POST', '/v1/knowledge-bases', { name })).body.id}`;

const upload = (base: string, n: number) =>
  call('POST', `${base}/documents`, { externalId: `d${n}`, content: content(n), contentType: 'text/markdown' });

/** @returns how many documents are ready */
async function ready(base: string): Promise<number> {
  return (await call('GET', `${base}/documents?status=ready&limit=200`)).body.data.length;
}

describe('kill -9 in the middle of ingesting 50 documents', () => {
  it('leaves every one of them ready after the next start, none twice, none lost', async () => {
    await start();
    const base = await makeBase('killed');
    const accepted = await Promise.all(Array.from({ length: count }, (_, n) => upload(base, n)));
    expect(accepted.map(({ status }) => status)).toEqual(Array.from({ length: count }, () => 202));
    await until('some to be ready', async () => (await ready(base)) > 0);
    const before = await ready(base);
    await kill();
    expect(before).toBeLessThan(count);

    const restarted = performance.now();
    await start();
    await until('all to be ready', async () => (await ready(base)) === count, 90);
    // Leases last 90 s: whoever waits for them to end takes longer than this.
    expect(performance.now() - restarted).toBeLessThan(60_000);

    const { data } = (await call('GET', `${base}/documents?limit=200`)).body;
    expect(data.map(({ externalId }: { externalId: string }) => externalId).sort()).toEqual(
      Array.from({ length: count }, (_, n) => `d${n}`).sort(),
    );
    for (const document of data)
      expect(document).toMatchObject({ revision: { number: 1 }, activeRevision: { number: 1 }, error: null });

    // A base that nobody killed says what is right.
    const clean = await makeBase('clean');
    await upload(clean, 0);
    await until('the clean run', async () => (await ready(clean)) === 1);
    const chunksOf = async (of: string, id: string) =>
      (await call('GET', `${of}/documents/${id}/chunks`)).body.data.map(({ ordinal }: { ordinal: number }) => ordinal);
    const expected = await chunksOf(clean, (await call('GET', `${clean}/documents`)).body.data[0].id);
    expect(expected.length).toBeGreaterThan(1);
    for (const { id } of data) expect(await chunksOf(base, id)).toEqual(expected);
    const { activeVersion } = (await call('GET', base)).body;
    const { stats } = (await call('GET', `${base}/versions/${activeVersion}`)).body;
    expect(stats).toEqual({ documents: count, chunks: count * expected.length });

    for (let n = 0; n < count; n++) {
      const { results } = (await call('POST', `${base}/search`, { query: unique(n), mode: 'keyword' })).body;
      expect(results.map((result: { document: { externalId: string } }) => result.document.externalId)).toEqual([
        `d${n}`,
      ]);
    }

    const events = (await call('GET', '/v1/events?limit=200')).body.data.filter(
      ({ type, data: about }: { type: string; data: { knowledgeBaseId: string } }) =>
        type === 'document.ready' && base.endsWith(about.knowledgeBaseId),
    );
    expect(events).toHaveLength(count);
  });
});
