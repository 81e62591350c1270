import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));

let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'lectern-start-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** Starts the built service as `npm start` does, until it greets; then ends it as a supervisor would. */
async function startAndStop(): Promise<{ told: string; code: unknown }> {
  const env = { PATH: process.env['PATH'], DATA_DIR: dataDir, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'error' };
  const service = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(service, 'exit');
  let told = '';
  for await (const part of service.stdout.setEncoding('utf8')) {
    told += part;
    if (told.includes('/v1/chat')) service.kill('SIGTERM');
  }
  const [code] = await ended;
  return { told, code };
}

describe('the entry point', () => {
  it('shows the first key once, keeps it for its owner alone, and ends with 0 when told to', async () => {
    const first = await startAndStop();
    const file = join(dataDir, 'first-api-key');
    const key = (await readFile(file, 'utf8')).trim();
    expect(key).toMatch(/^lk_[0-9A-Za-z]{36}$/);
    for (const name of ['first-api-key', 'token-key.pem', 'secret-key']) {
      expect((await stat(join(dataDir, name))).mode & 0o777, name).toBe(0o600);
    }
    expect([first.code, first.told.split(key).length - 1]).toEqual([0, 1]);
    const second = await startAndStop();
    expect([second.code, second.told.includes(key)]).toEqual([0, false]);
  });

  it('names every bad variable and ends with 1', async () => {
    const env = { PATH: process.env['PATH'], PORT: 'x', ROLE: 'y', DATA_DIR: dataDir };
    const ended = await new Promise<{ code: unknown; told: string }>((resolve) => {
      execFile(process.execPath, [main], { env }, (error, _, told) => resolve({ code: error?.code, told }));
    });
    expect(ended.code).toBe(1);
    expect(ended.told).toMatch(/PORT must be .*\n.*ROLE must be /);
  });
});
