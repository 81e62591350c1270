import { cpSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPool } from '../../src/platform/embedded/pool.js';
import { migrate } from '../../src/platform/migrate.js';

let made: Promise<string> | null = null;

/** A migrated embedded database to copy from: making one takes seconds, copying one a fraction of that. */
export function template(): Promise<string> {
  made ??= make();
  return made;
}

/** In one step: of a thousand files, each copied by itself takes four times as long. */
export async function copyTemplate(to: string): Promise<void> {
  cpSync(await template(), to, { recursive: true });
}

async function make(): Promise<string> {
  const shared = process.env['LECTERN_TEMPLATE'];
  if (shared) return shared;
  const dataDir = join(await mkdtemp(join(tmpdir(), 'lectern-template-')), 'database');
  const pool = new EmbeddedPool({ dataDir, initSql: ['set search_path to public, bullmq'] });
  await migrate(pool, { withQueueTables: true });
  await pool.end();
  return dataDir;
}
