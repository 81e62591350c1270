import { Injectable } from '@nestjs/common';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import { escapeIdentifier, escapeLiteral, type PoolClient, type QueryResult } from 'pg';
import {
  DataSource,
  type EntityManager,
  type EntityTarget,
  type ObjectLiteral,
  type QueryRunner,
  type Repository,
} from 'typeorm';
import { inLane } from './lane.js';
import { type StatementNames, statementNamesOf } from './statement-names.js';

/** Whose rows a transaction may touch: the tenant's id, a UUID. */
export interface TenantScope {
  readonly tenantId: string;
}

/** One open transaction: SQL by hand through `rows`, `row` and `run`, plain rows through a TypeORM repository. */
export class Transaction {
  private ended = false;

  constructor(
    private readonly manager: EntityManager,
    private readonly names: StatementNames | null = null,
  ) {}

  /** What was sent after the transaction's end would be carried out on its own, and past every rule. */
  end(): void {
    this.ended = true;
  }

  async rows<T>(sql: string, parameters: readonly unknown[] = []): Promise<T[]> {
    return (await this.query(sql, parameters)).rows as T[];
  }

  async row<T>(sql: string, parameters: readonly unknown[] = []): Promise<T | null> {
    return (await this.rows<T>(sql, parameters))[0] ?? null;
  }

  /** @returns how many rows were inserted, updated or deleted */
  async run(sql: string, parameters: readonly unknown[] = []): Promise<number> {
    return (await this.query(sql, parameters)).rowCount ?? 0;
  }

  repository<T extends ObjectLiteral>(entity: EntityTarget<T>): Repository<T> {
    return this.manager.getRepository(entity);
  }

  private async query(sql: string, parameters: readonly unknown[]): Promise<QueryResult> {
    const runner = this.manager.queryRunner;
    if (!runner || this.ended) throw new Error('a Transaction was used after it ended');
    const client = (await runner.connect()) as PoolClient;
    const name = parameters.length > 0 ? this.names?.of(sql) : undefined;
    return client.query({ text: sql, values: [...parameters], ...(name ? { name } : {}) });
  }
}

// A row or advisory lock that somebody holds for longer than this is not waited for: the request comes back, the job is
// tried again. Without it, a few stuck rows would take every connection of the process.
const lockWait = '4s';

/** Two transactions met, and the server ended this one so that the other could go on: from the start, it may succeed. */
const met = ({ code }: Error & { code?: string }) => code === '40001' || code === '40P01';
const again = retry(handleWhen(met), { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 20 }) });

/**
 * The only door to the database. Every transaction acts under a role that cannot bypass row-level security:
 * `lectern_app` sees the rows of one tenant, `lectern_system` sees only the columns it was granted (keys to look up,
 * leases to repair, events to relay), in all tenants. Without either, the connection's own role would see everything:
 * on the embedded engine it is a superuser.
 */
@Injectable()
export class Database {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs `work` in one transaction that sees the rows of this tenant and no others. Where transactions met (a deadlock,
   * a serialization failure) all of `work` runs again, three times at most.
   */
  as<T>(scope: TenantScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.transaction('lectern_app', scope.tenantId, work);
  }

  /** For reading only, on one snapshot: every statement sees what was committed when the first began. */
  snapshot<T>(scope: TenantScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.reading(scope, null, work);
  }

  /**
   * Like {@link snapshot}, with a first statement that goes in one round trip with the beginning: for what somebody waits for.
   * @param work is given the rows of that statement
   */
  snapshotFrom<R, T>(scope: TenantScope, along: Written, work: (tx: Transaction, rows: R[]) => Promise<T>): Promise<T> {
    return this.reading(scope, along, work);
  }

  /** Runs `work` in one transaction across tenants, with the few columns that the service's own chores need. */
  asSystem<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.transaction('lectern_system', '', work);
  }

  /**
   * Runs one statement as {@link as} would, in one round trip where a transaction takes three: for what is asked again and
   * again. It stands in the server's log with its values, should it fail there: not for texts.
   * @returns its rows
   */
  once<T>(scope: TenantScope, sql: string, parameters: Written['parameters'] = []): Promise<T[]> {
    return this.alone('lectern_app', scope.tenantId, { sql, parameters });
  }

  /** Runs one statement as {@link asSystem} would. See {@link once}. */
  onceAsSystem<T>(sql: string, parameters: Written['parameters'] = []): Promise<T[]> {
    return this.alone('lectern_system', '', { sql, parameters });
  }

  /** Runs statements as the owner of the schema: making and dropping partitions. Holds no tenant's rows. */
  asOwner<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.dataSource.transaction((manager) => during(new Transaction(manager), work));
  }

  /**
   * Runs statements as the owner of the schema, on one connection, each on its own and however long it takes: what cannot
   * be done in a transaction, because others go on reading and writing meanwhile.
   */
  async asOwnerAtLeisure(
    work: (run: <T>(sql: string, parameters?: unknown[]) => Promise<T[]>) => Promise<void>,
  ): Promise<void> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.query('set statement_timeout = 0');
      await work((sql, parameters) => runner.query(sql, parameters));
    } finally {
      await runner.query('reset statement_timeout');
      await runner.release();
    }
  }

  private alone<T>(role: string, tenantId: string, statement: Written): Promise<T[]> {
    const names = statementNamesOf(role, 'once');
    return inLane(() =>
      again.execute(() =>
        this.connected(async ({ client }) => {
          const results = await beganWith(client, begin(role, tenantId), statement, names, '; commit');
          const asked = results[ownStatements];
          if (!asked || results.length !== ownStatements + 2) throw new Error('one statement was expected');
          return asked.rows as T[];
        }),
      ),
    );
  }

  private transaction<T>(role: string, tenantId: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const names = statementNamesOf(role);
    return inLane(() => again.execute(() => this.within(begin(role, tenantId), work, names)));
  }

  /** One transaction. It is begun in one round trip, where TypeORM's own takes two more: each waits for a busy machine. */
  private within<T>(first: string, work: (tx: Transaction) => Promise<T>, names: StatementNames): Promise<T> {
    return this.connected(async ({ runner, client }) => {
      await client.query(first);
      // What a repository saves would otherwise be committed on its own, and all that came before it.
      Object.assign(runner, { isTransactionActive: true });
      const result = await during(new Transaction(runner.manager, names), work);
      await client.query('commit');
      return result;
    });
  }

  /** One transaction that changes nothing, so that nobody has to wait for its commit. */
  private reading<R, T>(
    scope: TenantScope,
    along: Written | null,
    work: (tx: Transaction, rows: R[]) => Promise<T>,
  ): Promise<T> {
    const first = `begin isolation level repeatable read, read only; ${actAs('lectern_app', scope.tenantId)}`;
    const asking = async () => {
      const { runner, client } = await this.connect();
      const giveBack = (statement: string) =>
        client
          .query(statement)
          .catch(() => undefined)
          .finally(() => runner.release());
      try {
        const names = statementNamesOf('lectern_app', 'once');
        const begun = along ? await beganWith(client, first, along, names) : [await client.query(first)];
        const rows = begun.at(-1)?.rows ?? [];
        const result = await during(new Transaction(runner.manager), (tx) => work(tx, rows as R[]));
        void giveBack('commit');
        return result;
      } catch (error) {
        await giveBack('rollback');
        throw error;
      }
    };
    return inLane(asking, true);
  }

  /** Lends a connection, and takes back what was begun on it and did not end. */
  private async connected<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    try {
      return await work(connection);
    } catch (error) {
      // A connection that is gone took its transaction with it.
      await connection.client.query('rollback').catch(() => undefined);
      throw error;
    } finally {
      await connection.runner.release();
    }
  }

  /** @throws Error when there is none to be had for too long */
  private async connect(): Promise<Connection> {
    const runner = this.dataSource.createQueryRunner();
    try {
      return { runner, client: (await runner.connect()) as PoolClient };
    } catch (error) {
      await runner.release();
      throw error;
    }
  }
}

/** TypeORM's view of a connection, and the driver's. */
interface Connection {
  runner: QueryRunner;
  client: PoolClient;
}

/** Once `work` has ended, whichever way, `tx` sends nothing more. */
async function during<T>(tx: Transaction, work: (tx: Transaction) => Promise<T>): Promise<T> {
  try {
    return await work(tx);
  } finally {
    tx.end();
  }
}

/** A statement of which the parameters are written into it, in the place of $1 and so on. */
export interface Written {
  sql: string;
  parameters: readonly (string | number | boolean | null | Buffer | readonly string[])[];
}

const written = (sql: string, parameters: Written['parameters']): string =>
  sql.replaceAll(/\$(\d+)/g, (_, place: string) => literal(parameters[Number(place) - 1]));

/**
 * Sends `begin`, a statement and what comes `after` it in one round trip. One that is asked again and again is read and
 * planned once for a connection: by SQL's own prepare, since the protocol's would take a round trip of its own.
 * @param begin begins a transaction and takes on its role
 * @returns the result of each
 */
async function beganWith(
  client: PoolClient,
  begin: string,
  along: Written,
  names: StatementNames,
  after = '',
): Promise<QueryResult[]> {
  const name = names.of(along.sql);
  if (name !== undefined) {
    const prepared = preparedOn(client);
    const places = along.parameters.map(literal).join(', ');
    const execute = `execute ${name}${places && `(${places})`}${after}`;
    const prepare = prepared.has(name) ? '' : `prepare ${name} as ${along.sql}; `;
    try {
      const results = await severalAtOnce(client, `${begin}; ${prepare}${execute}`);
      prepared.add(name);
      return results.filter(({ command }) => command !== 'PREPARE');
    } catch (error) {
      // The embedded engine's clients share a session, which can be a new one; a pooler's share several.
      const { code } = error as { code?: string };
      if (code === alreadyPrepared) prepared.add(name);
      else if (code === notPrepared) prepared.delete(name);
      else throw error;
      await client.query('rollback');
    }
  }
  return severalAtOnce(client, `${begin}; ${written(along.sql, along.parameters)}${after}`);
}

// https://www.postgresql.org/docs/17/errcodes-appendix.html
const notPrepared = '26000';
const alreadyPrepared = '42P05';

const preparedBy = new WeakMap<PoolClient, Set<string>>();

/** What is prepared on a connection, as far as is known here. */
function preparedOn(client: PoolClient): Set<string> {
  const names = preparedBy.get(client) ?? new Set();
  preparedBy.set(client, names);
  return names;
}

/** Several statements in one round trip. @returns the result of each */
async function severalAtOnce(client: PoolClient, statements: string): Promise<QueryResult[]> {
  return (await client.query(statements)) as unknown as QueryResult[];
}

// What `begin` sends.
const ownStatements = 4;

const begin = (role: string, tenantId: string): string =>
  `begin; ${actAs(role, tenantId)}; set local lock_timeout = '${lockWait}'`;

const actAs = (role: string, tenantId: string): string =>
  `set local role ${escapeIdentifier(role)}; set local app.tenant_id = ${escapeLiteral(tenantId)}`;

function literal(value: Written['parameters'][number] | undefined): string {
  if (value === undefined) throw new Error('a statement has more places than parameters');
  if (value === null) return 'null';
  if (Buffer.isBuffer(value)) return `decode('${value.toString('hex')}', 'hex')`;
  return escapeLiteral(typeof value === 'object' ? arrayOf(value) : String(value));
}

/** As PostgreSQL reads an array: https://www.postgresql.org/docs/17/arrays.html#ARRAYS-IO */
const arrayOf = (items: readonly string[]): string =>
  `{${items.map((item) => `"${item.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
