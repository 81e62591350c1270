import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Scratch, scratchDatabase } from '../service/scratch.js';
import { copyTemplate } from '../service/template.js';
import { until } from './until.js';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));
const preload = new URL('shifted-clock.mjs', import.meta.url).href;
const tenMinutes = 600_000;
const count = 10;

/** On the embedded engine one process whose clock jumps; on native ones three whose clocks disagree, and that jump too. */
describe('150: processes with wrong clocks', () => {
  const native = Boolean(process.env['DATABASE_URL']);
  const plan = native
    ? [
        { role: 'api', shift: 0 },
        { role: 'worker', shift: tenMinutes },
        { role: 'worker', shift: -tenMinutes },
      ]
    : [{ role: 'all', shift: tenMinutes }];
  let dataDir: string;
  let scratch: Scratch | null;
  let children: ChildProcess[];
  let url = '';

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'lectern-clock-'));
    scratch = await scratchDatabase();
    if (!scratch) await copyTemplate(join(dataDir, 'database'));
    const engines = scratch ? { DATABASE_URL: scratch.url, REDIS_PREFIX: scratch.name } : {};
    let up = 0;
    children = plan.map(({ role, shift }) => {
      const env = { ...process.env, DATA_DIR: dataDir, PORT: '0', HOST: '127.0.0.1', ...engines, ROLE: role };
      const child = spawn(process.execPath, ['--liftoff-only', '--import', preload, main], {
        env: { ...env, CLOCK_SHIFT_MS: String(shift) },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.on('data', (part: Buffer) => {
        if (/"msg":"(listening|working)"/.test(said)) return;
        said += part.toString();
        url = /"url":"([^"]+)","startedInMs"/.exec(said)?.[1] ?? url;
        if (/"msg":"(listening|working)"/.test(said)) up += 1;
      });
      return child;
    });
    await until('all to be up', async () => up === plan.length, 100);
  }, 120_000);
  afterAll(async () => {
    for (const child of children) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await scratch?.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function call(method: string, path: string, body?: object) {
    const key = (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim();
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
    // oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
    return { status: answer.status, body: (await answer.json()) as any };
  }

  it('work on each document once, before a jump, across it and after', async () => {
    const base = `/v1/knowledge-bases/${(await call('POST', '/v1/knowledge-bases', { name: 'clocks' })).body.id}`;
    const ready = async () => (await call('GET', `${base}/documents?status=ready&limit=200`)).body.data.length;
    const upload = async (from: number) => {
      for (let n = from; n < from + count; n++) {
        const document = { externalId: `d${n}`, content: `# Rule ${n}\n\nIt holds.`, contentType: 'text/markdown' };
        expect((await call('POST', `${base}/documents`, document)).status).toBe(202);
      }
    };
    await upload(0);
    await until('the first to be ready', async () => (await ready()) > 0);
    for (const child of children) child.kill('SIGUSR2');
    await upload(count);
    await until('all to be ready', async () => (await ready()) === 2 * count, 120);
    const events = (await call('GET', '/v1/events?limit=200')).body.data.map(({ type }: { type: string }) => type);
    // A lease that a wrong clock had ended would show as a second beginning.
    for (const type of ['document.queued', 'document.processing', 'document.ready'])
      expect(
        events.filter((seen: string) => seen === type),
        type,
      ).toHaveLength(2 * count);
    expect(events).not.toContain('document.failed');
  });
});
