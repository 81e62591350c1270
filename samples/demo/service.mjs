import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Disappointment } from './page.mjs';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));
const startMs = 30_000;
// The service itself gives up after 25 s.
const stopMs = 30_000;

/**
 * Starts the built service on data of its own, with none of the settings of whoever runs the demo.
 *
 * @param {(stop: () => Promise<void>) => void} finallyDo told how to undo it before there is anything to wait for
 * @param {Record<string, string>} [more] settings beside the usual ones
 * @returns {Promise<{ url: string, key: string, folder: string, pid: number }>} `key`: the first API key
 */
export async function startService(finallyDo, more = {}) {
  if (!existsSync(main)) throw new Disappointment('the built service', `no ${main}: run "npm run build" first`);
  const folder = await mkdtemp(join(tmpdir(), 'lectern-demo-'));
  const dataDir = join(folder, 'data');
  const settings = {
    DATA_DIR: dataDir,
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'info',
    OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8',
    ...more,
  };
  const { PATH, HOME, TMPDIR, SystemRoot } = process.env;
  const env = Object.fromEntries(
    Object.entries({ PATH, HOME, TMPDIR, SystemRoot, ...settings }).filter(([, value]) => value),
  );
  const child = spawn(process.execPath, [main], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), stopMs);
      await ended;
      clearTimeout(late);
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  finallyDo(stop);
  const url = await listening(child);
  return { url, key: (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim(), folder, pid: child.pid ?? 0 };
}

/**
 * Reads the service's log until it says where it listens.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<string>}
 */
function listening(child) {
  /** @type {string[]} */
  const log = [];
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ why) =>
      reject(new Disappointment('the service to start', `${why}\n${log.join('\n')}`));
    const timer = setTimeout(() => fail(`no "listening" in its log after ${startMs / 1000} s`), startMs);
    const read = (/** @type {string} */ line) => {
      log.push(line);
      if (log.length > 30) log.shift();
      const { msg, url } = parsed(line);
      if (msg !== 'listening' || typeof url !== 'string') return;
      clearTimeout(timer);
      resolve(reachable(url));
    };
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', read);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      fail(`it ended with ${code ?? signal}`);
    });
  });
}

/** @param {string} line a line of the log, which may also be plain text */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** @param {string} url an address to listen on is not always one to call */
const reachable = (url) => url.replace(/\/+$/, '').replace(/\/\/(?:0\.0\.0\.0|\[::\])/, '//127.0.0.1');
