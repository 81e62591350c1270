import { readdir, readFile } from 'node:fs/promises';
import { runMigrations as migrateBullMq } from 'bullmq';
import type { PoolClient } from 'pg';
import type { Pool } from './pool.js';

const folder = new URL('../../migrations/', import.meta.url);

// Any number, the same in every process: whoever holds it migrates, the others wait and then find nothing to do.
const advisoryLock = 5_318_008_112;

/**
 * Applies every `migrations/NNNN_name.sql` that the database has not seen, in order, all in one transaction, and the
 * queue's own tables. Safe when several processes start at once.
 * @returns the names applied now
 */
export async function migrate(pool: Pool, options: { withQueueTables: boolean }): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();
  const client = await pool.connect();
  let held = false;
  try {
    await lock(client);
    held = true;
    await client.query('begin');
    await client.query('set local statement_timeout to 0');
    await client.query(
      'create table if not exists schema_migration (name text primary key, applied_at timestamptz not null default now())',
    );
    const known = await client.query<{ name: string }>('select name from schema_migration');
    const seen = new Set(known.rows.map((row) => row.name));
    const pending = files.filter((file) => !seen.has(file));
    for (const file of pending) {
      await client.query(await readFile(new URL(file, folder), 'utf8'));
      await client.query('insert into schema_migration (name) values ($1)', [file]);
    }
    await client.query('commit');
    if (options.withQueueTables) await migrateBullMq(client);
    // BullMQ's migrations change the session's search_path on the embedded engine's only session.
    await client.query('set search_path to public, bullmq');
    return pending;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    const freed =
      !held ||
      (await client.query('select pg_advisory_unlock($1)', [advisoryLock]).then(
        () => true,
        () => false,
      ));
    client.release(!freed);
  }
}

/**
 * Held by the session until everything is there. Those who waited must begin their transactions after they got it: one
 * that waits inside a transaction goes on with what it remembers of the catalogue, and creates a schema that exists.
 */
async function lock(client: PoolClient): Promise<void> {
  await client.query('begin');
  await client.query('set local statement_timeout to 0');
  await client.query('select pg_advisory_lock($1)', [advisoryLock]);
  await client.query('commit');
}
