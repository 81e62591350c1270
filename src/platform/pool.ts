import { Pool as ServerPool } from 'pg';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { EmbeddedPool } from './embedded/pool.js';

/** Nest's token for the connections of jobs, sweeps, the relay and the queue: `pg`'s own, or the embedded engine's. */
export const POOL = Symbol('POOL');

/** Nest's token for the connections that requests use, and nothing else: background work can never hold them all. */
export const INTERACTIVE_POOL = Symbol('INTERACTIVE_POOL');

export type Pool = ServerPool;

// A request that gets no connection for this long is told so rather than kept: its caller can come back. Work that nobody
// waits for is patient, but not for a server that does not even take connections.
const connectionWaitMs = 4000;
const patientWaitMs = 30_000;
// A connection keeps the plans of what it was asked: those of a table that was small then must not serve a large one for
// long. The embedded engine sees to that by itself.
const maxLifetimeSeconds = 30;

/** Connections for work that may wait: jobs, sweeps, the relay, the queue, migrations. */
export function openPool(config: Config): Pool {
  return open(config, config.database.backgroundPoolSize, { connectionTimeoutMillis: patientWaitMs });
}

/** Connections for requests. On the embedded engine, which does one thing at a time, these go before all others. */
export function openInteractivePool(config: Config): Pool {
  return open(config, config.database.poolSize, { connectionTimeoutMillis: connectionWaitMs, urgent: true });
}

/** Chooses the engine, once: nothing above `platform` knows which one it is. */
function open(
  config: Config,
  max: number,
  { urgent, ...more }: { connectionTimeoutMillis?: number; urgent?: boolean },
) {
  if (!config.database.url) {
    return new EmbeddedPool({
      dataDir: join(config.dataDir, 'database'),
      statementTimeoutMs: config.database.statementTimeoutMs,
      initSql: ['set search_path to public, bullmq', 'set jit to off'],
      urgent,
      ...(urgent ? { max, ...more } : {}),
    });
  }
  const pool = new ServerPool({
    connectionString: config.database.url,
    max,
    maxLifetimeSeconds,
    // A connection that was dropped without a word (a firewall, a machine that is gone) is noticed within half a minute,
    // also the one that only listens.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: config.database.statementTimeoutMs,
    // A process that froze in the middle of a transaction would hold its locks for ever.
    idle_in_transaction_session_timeout: 30_000,
    // BullMQ leaves unqualified names to the session's search_path when it is given a pool. jit costs more than it
    // saves on every ranking statement that was measured. A vector index is read on until enough permitted ones are found.
    options: '-c search_path=public,bullmq -c jit=off -c hnsw.iterative_scan=relaxed_order -c hnsw.ef_search=100',
    ...more,
  });
  // An idle connection that the server drops is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  // Nor one that is in use, but between two statements: nobody but its user would hear of it, and BullMQ does not listen.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
