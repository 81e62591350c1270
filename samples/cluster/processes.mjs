import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';

const main = fileURLToPath(new URL('../../dist/main.bundle.js', import.meta.url));
// The service itself gives up after 25 s.
const stopMs = 30_000;
const startMs = 60_000;

/**
 * @typedef {object} Running one process of the service
 * @property {string} name
 * @property {number} pid
 * @property {Promise<string>} ready its address, or '' for a worker; rejected when it ends first
 * @property {Promise<string>} ended its exit code or signal
 * @property {() => Promise<void>} stop SIGTERM, and SIGKILL when that takes too long
 */

/**
 * Starts one process of the built service in the surroundings of this one.
 *
 * @param {string} name
 * @param {Record<string, string>} settings over those of the environment
 * @param {(line: string) => void} say told what a person should see: warnings, errors, and what is no log line
 * @returns {Running}
 */
export function startProcess(name, settings, say) {
  // Its log says when it is ready, at level info.
  const env = { ...process.env, ...settings, LOG_LEVEL: 'info' };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(String(signal ?? code))));
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} was not ready after ${startMs / 1000} s`)), startMs);
    void ended.then((how) => reject(new Error(`${name} ended with ${how} before it was ready`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { level, msg, url } = parsed(line);
      if (level >= 40) say(`${name}: ${line}`);
      if (msg !== 'listening' && msg !== 'working') return;
      clearTimeout(timer);
      resolve(url ?? '');
    });
    createInterface({ input: child.stderr }).on('line', (line) => say(`${name}: ${line}`));
    void ended.then(() => clearTimeout(timer));
  });
  ready.catch(() => undefined); // whoever asks hears of it
  const stop = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), stopMs);
    await ended;
    clearTimeout(late);
  };
  return { name, pid: child.pid ?? 0, ready, ended, stop };
}

/** @param {string} line a line of the log, or of the greeting */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
