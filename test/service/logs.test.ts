import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { copyTemplate } from './template.js';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));

it('the log says which requests there were, and holds no key, secret, title, text, question or answer', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lectern-logs-'));
  await copyTemplate(join(dataDir, 'database'));
  const settings = { DATA_DIR: dataDir, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'trace' };
  // Nothing listens at the model's address, so that its failure is logged too.
  const models = { CHAT_BASE_URL: 'http://127.0.0.1:9/v1', CHAT_MODEL: 'none', OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' };
  const env = { PATH: process.env['PATH'], ...settings, ...models };
  const service = spawn(process.execPath, ['--liftoff-only', main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(service, 'exit');
  try {
    const log: string[] = [];
    const url = await new Promise<string>((resolve) => {
      createInterface({ input: service.stdout }).on('line', (line) => {
        // The greeting shows the first key on purpose; it is not a line of the log.
        if (!line.startsWith('{')) return;
        log.push(line);
        const { msg, url: address } = JSON.parse(line) as { msg?: string; url?: string };
        if (msg === 'listening' && address) resolve(address);
      });
    });
    const key = (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim();
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'x-request-id': 'seen-in-log',
    };
    const call = async (method: string, path: string, body?: object) => {
      const answer = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      return (await answer.json()) as Record<string, string>;
    };
    const base = (await call('POST', '/v1/knowledge-bases', { name: 'logs' }))['id'];
    const documents = `/v1/knowledge-bases/${base}/documents`;
    const endpoint = await call('POST', '/v1/webhook-endpoints', { url: 'http://127.0.0.1:9/x', events: ['*'] });
    const { id } = await call('POST', documents, { title: 'Canarytitle', content: 'The canarytext number is 471147.' });
    while ((await call('GET', `${documents}/${id}`))['status'] !== 'ready') await pause(100);
    // A statement that fails in the database takes its parameters along in the error.
    await call('POST', documents, { title: 'Broken', content: 'x', metadata: { note: 'canarymeta\u0000' } });
    const message = 'What is the canarytext number, canaryquestion?';
    expect(await call('POST', '/v1/chat', { knowledgeBases: [base], message })).toMatchObject({ degraded: ['chat'] });
    service.kill('SIGTERM');
    // Also with a delivery under way: 1 would mean that stopping hung until it was cut off.
    expect((await ended)[0]).toBe(0);
    const told = log.join('\n');
    expect(told).toContain('"requestId":"seen-in-log"');
    expect(told).toContain('"job":"ingest"');
    const secrets = [
      key,
      endpoint['secret'] ?? '',
      'Canarytitle',
      'canarytext',
      '471147',
      'canarymeta',
      'canaryquestion',
    ];
    expect(secrets.filter((secret) => secret === '' || told.includes(secret))).toEqual([]);
  } finally {
    service.kill('SIGKILL');
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  }
});
