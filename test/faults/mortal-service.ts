import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../src/config.js';
import { openPool } from '../../src/platform/pool.js';
import { copyTemplate } from '../service/template.js';
import { scratchDatabase } from '../service/scratch.js';
import { passTime } from './pass-time.js';

// The process that users start, not the test runner's view of it.
const main = join(
  process.env['LECTERN_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url)),
  'main.bundle.js',
);
// What asks is answered by the process that is watched: oftener, and it would do little else.
const betweenAsksMs = 150;
const preload = new URL('die-at.mjs', import.meta.url).href;

/** Where a process dies: at which boundary, of what (a UUID; absent: of anything), at which crossing, how long after it. */
export interface Fuse {
  at: string;
  about?: string;
  pass: number;
  afterMs?: number;
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
export type Json = any;

export type MortalService = Awaited<ReturnType<typeof makeMortal>>;

/**
 * The built service as a process that may be killed and started again on the same data: the embedded database in a folder,
 * or a scratch database on the server that DATABASE_URL names.
 */
export async function makeMortal(settings: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'lectern-mortal-'));
  const dataDir = join(folder, 'data');
  const scratch = await scratchDatabase();
  const engines = scratch && {
    DATABASE_URL: scratch.url,
    ...(process.env['REDIS_URL'] ? { REDIS_URL: process.env['REDIS_URL'], REDIS_PREFIX: scratch.name } : {}),
  };
  if (!scratch) await copyTemplate(join(dataDir, 'database'));
  const env: Record<string, string> = {
    DATA_DIR: dataDir,
    PORT: String(await freePort()),
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    ...engines,
    ...settings,
  };
  const url = `http://127.0.0.1:${env['PORT']}`;
  let child: ChildProcess | null = null;
  let exit: Promise<unknown> = Promise.resolve();
  let output = '';

  const alive = () => child !== null && child.exitCode === null && child.signalCode === null;

  /** Asks a process outside until it says yes: there is nothing here to step by hand. */
  async function until(what: string, holds: () => Promise<boolean>, seconds = 150): Promise<void> {
    const latest = performance.now() + seconds * 1000;
    while (!(await holds())) {
      if (performance.now() > latest) throw new Error(`waited ${seconds} s for ${what}:\n${output.slice(-3000)}`);
      await pause(betweenAsksMs);
    }
  }

  function launch(more: Record<string, string>): void {
    output = '';
    // A process that lives for seconds only pays for optimising the embedded engine, which costs as much as starting it.
    const started = spawn(process.execPath, ['--liftoff-only', '--import', preload, main], {
      env: { PATH: process.env['PATH'], ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child = started;
    exit = once(started, 'exit');
    for (const stream of [started.stdout, started.stderr])
      stream?.on('data', (part: Buffer) => (output += part.toString()));
  }

  async function start(more: Record<string, string> = {}): Promise<void> {
    launch(more);
    await until('the service to listen', async () => {
      if (!alive()) throw new Error(`it ended instead: ${output}`);
      return fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }

  /** Waits for the death that was arranged. */
  async function death(): Promise<void> {
    await until('it to die', async () => !alive());
    if (child?.signalCode !== 'SIGKILL') throw new Error(`it was to be killed and left by itself:\n${output}`);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (alive()) child?.kill(signal);
    await exit;
  }

  async function request(method: string, path: string, { body, form }: { body?: unknown; form?: FormData } = {}) {
    const key = (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim();
    const ask = () =>
      fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      });
    let answer = await ask();
    // A reader who is told that too much is going on comes back, as he is asked to.
    for (let turns = method === 'GET' ? 30 : 0; turns > 0 && answer.status === 503; turns--) {
      await pause(Number(answer.headers.get('retry-after')) * 1000);
      answer = await ask();
    }
    const text = await answer.text();
    return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as Json };
  }

  return {
    dataDir,
    url,
    start,
    until,
    request,
    kill: () => end('SIGKILL'),
    /** As an operator does: what is running ends first. */
    stop: () => end('SIGTERM'),
    /** For a script outside that kills at its own time, without waiting for it. */
    strike: () => void child?.kill('SIGKILL'),
    /** From now on, the next process to come to this boundary is dead. */
    arm: async (fuse: Fuse) => {
      if (!child) throw new Error('nothing runs that could be armed');
      const armed = once(child, 'message');
      child.send(fuse);
      await armed;
    },
    death,
    /** Starts it with the fuse lit: what waits for a worker since the last run leads to the death of this one. */
    startToDie: async (fuse: Fuse) => {
      launch({ DIE_AT: JSON.stringify(fuse) });
      await death();
    },
    /** The embedded engine needs no waiting: whoever starts on it is alone, and frees what a dead one held. */
    passTime: async () => {
      if (engines) await passTime(engines);
    },
    /** The rows themselves, past every rule: only while no process runs, for the embedded engine has one owner. */
    rows: async <T>(sql: string, parameters: unknown[] = []): Promise<T[]> => {
      if (alive()) throw new Error('rows are read when the process has ended');
      const pool = openPool(readConfig(env));
      try {
        return (await pool.query(sql, parameters)).rows as T[];
      } finally {
        await pool.end();
      }
    },
    remove: async () => {
      await end('SIGKILL');
      await scratch?.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
