import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../src/config.js';
import { migrate } from '../src/platform/migrate.js';
import { openPool } from '../src/platform/pool.js';
import { databaseUrl, onServer } from './service/scratch.js';
import { databasePrefix, templateDatabase, templateDataDir } from './service/template.js';

/**
 * Once for the whole run, before any test file: the migrated database that all services under test start from. What the
 * run has left behind at its end goes with it.
 */
export async function setup(): Promise<() => Promise<void>> {
  if (process.env['LECTERN_TESTS']) return async () => undefined;
  const folder = await mkdtemp(join(tmpdir(), 'lectern-tests-'));
  // What the tests themselves put aside lies in it too.
  process.env['LECTERN_TESTS'] = process.env['TMPDIR'] = folder;
  const { DATABASE_URL: server, REDIS_URL } = process.env;
  if (server) await onServer(server, `create database ${templateDatabase()}`);
  const url = server && databaseUrl(server, templateDatabase());
  const pool = openPool(readConfig({ DATA_DIR: templateDataDir(), DATABASE_URL: url }));
  try {
    await migrate(pool, { withQueueTables: !server || !REDIS_URL });
  } finally {
    await pool.end();
  }
  return async () => {
    if (server) await dropDatabases(server);
    await rm(folder, { recursive: true, force: true });
  };
}

async function dropDatabases(server: string): Promise<void> {
  const ours = await onServer<{ name: string }>(
    server,
    `select datname as name from pg_database where starts_with(datname, '${databasePrefix()}_')`,
  );
  for (const { name } of ours) await onServer(server, `drop database ${name} with (force)`);
}
