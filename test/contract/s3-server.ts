import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../.ci/s3-server.mjs', import.meta.url));

/** A server that speaks S3, in a process and a folder of its own. */
export async function startS3() {
  const folder = await mkdtemp(join(tmpdir(), 'lectern-s3-'));
  const server = spawn(process.execPath, ['--openssl-legacy-provider', script, folder], {
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  const env = Object.fromEntries(
    [...line.matchAll(/(S3_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );
  return {
    /** The settings that lead to it. */
    env,
    stop: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Mood = 'passes' | 'refuses' | 'hangs' | 'fails parts';

/** What stands before an S3 server and can take it away: `env` are the settings with this in its place. */
export async function standBefore(env: Record<string, string>) {
  const target = new URL(env['S3_ENDPOINT'] ?? '');
  const gate = { mood: 'passes' as Mood };
  const pass = (from: IncomingMessage, to: ServerResponse) => {
    const { method, url: path, headers } = from;
    const onward = request(target, { method, path, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    from.pipe(onward);
  };
  const proxy = createServer((from, to) => {
    if (gate.mood === 'refuses') to.destroy();
    else if (gate.mood === 'hangs') from.resume();
    else if (gate.mood === 'fails parts' && /partNumber=[2-9]/.test(from.url ?? ''))
      from.resume().on('end', () => to.writeHead(500).end());
    else pass(from, to);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  return {
    gate,
    env: { ...env, S3_ENDPOINT: `http://127.0.0.1:${port}` },
    close: async () => {
      proxy.close();
      proxy.closeAllConnections();
      await once(proxy, 'close');
    },
  };
}
