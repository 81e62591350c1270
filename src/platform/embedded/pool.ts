import { resolve } from 'node:path';
import { callbackify } from 'node:util';
import { Client, Pool, type ClientConfig, type PoolClient, type PoolConfig } from 'pg';
import { EmbeddedEngine, type EngineOptions } from './engine.js';
import { EngineSession } from './session.js';

/** A pool's options: the engine's, of which only the folder is required, and any of `pg.Pool`'s own (such as `max`). */
export type EmbeddedPoolOptions = Pick<EngineOptions, 'dataDir'> &
  Partial<EngineOptions> &
  PoolConfig & {
    /** Somebody waits for what these clients ask: they go before those of other pools on the same folder. */
    urgent?: boolean | undefined;
  };

// One engine per folder in this process, whoever asks: TypeORM makes its own pool, BullMQ is given one.
const engines = new Map<string, { engine: EmbeddedEngine; pools: number; closing?: Promise<void> }>();

/** A `pg.Client` whose server is the embedded engine. Obtained from `EmbeddedPool.connect()`. */
export class EmbeddedClient extends Client {
  readonly session: EngineSession;

  constructor(engine: EmbeddedEngine, urgent: boolean, config: ClientConfig) {
    const session = new EngineSession(engine, urgent);
    // `ssl` said out loud, or PGSSLMODE from the environment would have `pg` negotiate it with a thread.
    const place = { host: 'embedded', user: 'postgres', database: 'postgres', ssl: false, keepAlive: false };
    super({ ...config, ...place, stream: () => session });
    this.session = session;
  }
}

/**
 * A `pg.Pool` over the embedded database in `dataDir`: `pg` itself, but for the socket. The database opens at the first
 * connect, which fails with the reason when it can't. Several pools on one folder share one engine; it closes, and the
 * folder is free for another process, when the last of them has ended.
 *
 * What differs from a server: all clients share ONE session. One transaction is open at a time, so a query through the
 * pool from inside a transaction waits for that transaction. `SET`, `SET ROLE`, session advisory locks and temporary
 * tables are everybody's: use `SET LOCAL`, transaction-level locks, and `initSql` for what all should have.
 */
export class EmbeddedPool extends Pool {
  readonly #engine: EmbeddedEngine;

  constructor(options: EmbeddedPoolOptions) {
    const {
      dataDir,
      statementTimeoutMs = 30_000,
      idleInTransactionTimeoutMs = 30_000,
      initSql = [],
      urgent = false,
      ...config
    } = options;
    const engine = joined({ dataDir: resolve(dataDir), statementTimeoutMs, idleInTransactionTimeoutMs, initSql });
    const OwnClient = EmbeddedClient.bind(undefined, engine, urgent) as unknown as PoolConfig['Client'];
    super({ ...config, max: config.max ?? 100, Client: OwnClient });
    this.#engine = engine;
    this.on('release', (_error, client) => {
      const { session } = client as unknown as EmbeddedClient;
      session.deadlineMs = undefined;
      engine.abandon(session);
    });
  }

  /**
   * Runs `work` on a client of its own whose statements may take as long as they take: migrations, index builds.
   * The client is released afterwards, and a transaction left open is rolled back.
   */
  async withoutDeadline<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.connect();
    (client as unknown as EmbeddedClient).session.deadlineMs = 0;
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: (error?: Error) => void): Promise<void> | void {
    const ended = super.end().then(() => left(this.#engine));
    if (!callback) return ended;
    callbackify(() => ended)((error) => callback(error ?? undefined));
  }
}

function joined(options: EngineOptions): EmbeddedEngine {
  const shared = engines.get(options.dataDir);
  if (shared && !shared.closing) {
    shared.pools += 1;
    return shared.engine;
  }
  const engine = new EmbeddedEngine(options, shared?.closing);
  engines.set(options.dataDir, { engine, pools: 1 });
  return engine;
}

async function left(engine: EmbeddedEngine): Promise<void> {
  const { dataDir } = engine.options;
  const shared = engines.get(dataDir);
  if (!shared || shared.engine !== engine || (shared.pools -= 1) > 0) return;
  shared.closing = engine.close();
  await shared.closing;
  if (engines.get(dataDir) === shared) engines.delete(dataDir);
}
