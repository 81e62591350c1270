import { Pool as ServerPool } from 'pg';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { EmbeddedPool } from './embedded/pool.js';

/** Nest's token for the one connection pool of the process: `pg`'s own, or the embedded engine behind the same surface. */
export const POOL = Symbol('POOL');

export type Pool = ServerPool;

// A request waits this long for a connection of its own, and is then told to come back: whoever holds them all is stuck.
const connectionWaitMs = 3000;

/** Chooses the engine, once: nothing above `platform` knows which one it is. */
export function openPool(config: Config): Pool {
  if (!config.database.url) {
    return new EmbeddedPool({
      dataDir: join(config.dataDir, 'database'),
      statementTimeoutMs: config.database.statementTimeoutMs,
      initSql: ['set search_path to public, bullmq', 'set jit to off'],
    });
  }
  const pool = new ServerPool({
    connectionString: config.database.url,
    max: config.database.poolSize,
    connectionTimeoutMillis: connectionWaitMs,
    // A connection that was dropped without a word (a firewall, a machine that is gone) is noticed within half a minute,
    // also the one that only listens.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: config.database.statementTimeoutMs,
    // A process that froze in the middle of a transaction would hold its locks for ever.
    idle_in_transaction_session_timeout: 30_000,
    // BullMQ leaves unqualified names to the session's search_path when it is given a pool. jit costs more than it
    // saves on every ranking statement that was measured.
    options: '-c search_path=public,bullmq -c jit=off',
  });
  // An idle connection that the server drops is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  return pool;
}
