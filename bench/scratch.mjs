import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Database } from 'pg';
import { startProcess } from '../samples/cluster/processes.mjs';
import { Client } from '../samples/demo/client.mjs';

/**
 * An empty database on the server that DATABASE_URL names, with processes of the service on it, and the end of all of it.
 *
 * @param {Record<string, string>} [more] settings of every process
 */
export async function openScratch(more = {}) {
  const server = process.env.DATABASE_URL;
  if (!server) throw new Error('set DATABASE_URL, and REDIS_URL if there is one');
  const name = `lectern_bench_${randomUUID().replaceAll('-', '')}`;
  const run = async (/** @type {string} */ sql) => {
    const admin = new Database({ connectionString: server });
    await admin.connect();
    await admin.query(sql);
    await admin.end();
  };
  await run(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const dataDir = await mkdtemp(join(tmpdir(), 'lectern-bench-'));
  const settings = {
    DATABASE_URL: url.href,
    REDIS_PREFIX: name,
    DATA_DIR: dataDir,
    PORT: '0',
    HOST: '127.0.0.1',
    ...more,
  };
  /** @type {import('../samples/cluster/processes.mjs').Running[]} */
  const running = [];
  return {
    /** @param {'api' | 'worker' | 'all'} role @returns {Promise<string>} its address */
    start: async (role) => {
      const one = startProcess(`${role} ${running.length + 1}`, { ...settings, ROLE: role }, () => undefined);
      running.push(one);
      return one.ready;
    },
    /** @param {string} address */
    client: async (address) => new Client(address, (await readFile(join(dataDir, 'first-api-key'), 'utf8')).trim()),
    close: async () => {
      await Promise.all(running.map(({ stop }) => stop()));
      await run(`drop database ${name} with (force)`);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
