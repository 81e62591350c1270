import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import type { DataSourceOptions } from 'typeorm';
import { EmbeddedPool } from '../../src/platform/embedded/pool.js';

/** An empty database of one engine: a pool on it, TypeORM's way to it, and the end of both. */
export interface ScratchDatabase {
  pool: Pool;
  typeorm: Extract<DataSourceOptions, { type: 'postgres' }>;
  close(): Promise<void>;
}

async function embedded(): Promise<ScratchDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'lectern-embedded-'));
  const options = { dataDir: join(folder, 'database'), initSql: ['set search_path to public, bullmq'] };
  const pool = new EmbeddedPool(options);
  await pool.query('select 1');
  return {
    pool,
    typeorm: { type: 'postgres', driver: { Pool: EmbeddedPool }, extra: options },
    close: async () => {
      await pool.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function native(url: string): Promise<ScratchDatabase> {
  const name = `scratch_${randomBytes(6).toString('hex')}`;
  const admin = new Pool({ connectionString: url, max: 1 });
  await admin.query(`create database ${name}`);
  const scratch = new URL(url);
  scratch.pathname = `/${name}`;
  const options = { connectionString: scratch.href, options: '-c search_path=public,bullmq' };
  const pool = new Pool(options);
  pool.on('error', () => undefined); // connections that are still saying goodbye when the database is dropped
  await pool.query('create extension if not exists vector');
  return {
    pool,
    typeorm: { type: 'postgres', url: scratch.href, extra: options },
    close: async () => {
      await pool.end();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    },
  };
}

/** Every engine that can be reached: the embedded one always, a server where DATABASE_URL names one. */
export const engines: { engine: string; open: () => Promise<ScratchDatabase> }[] = [
  { engine: 'embedded', open: embedded },
];
const { DATABASE_URL } = process.env;
if (DATABASE_URL) engines.push({ engine: 'native', open: () => native(DATABASE_URL) });
