import { Injectable } from '@nestjs/common';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import { DataSource, type EntityManager, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';
import { giveWay, inForeground, isBackground } from './lane.js';

/** Whose rows a transaction may touch: the tenant's id, a UUID. */
export interface TenantScope {
  readonly tenantId: string;
}

/** One open transaction: SQL by hand through `rows`, `row` and `run`, plain rows through a TypeORM repository. */
export class Transaction {
  constructor(private readonly manager: EntityManager) {}

  async rows<T>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return (await this.query(sql, parameters)).records as T[];
  }

  async row<T>(sql: string, parameters: unknown[] = []): Promise<T | null> {
    return (await this.rows<T>(sql, parameters))[0] ?? null;
  }

  /** @returns how many rows were inserted, updated or deleted */
  async run(sql: string, parameters: unknown[] = []): Promise<number> {
    return (await this.query(sql, parameters)).affected ?? 0;
  }

  repository<T extends ObjectLiteral>(entity: EntityTarget<T>): Repository<T> {
    return this.manager.getRepository(entity);
  }

  private async query(sql: string, parameters: unknown[]) {
    const runner = this.manager.queryRunner;
    if (!runner) throw new Error('a Transaction was used after it ended');
    return runner.query(sql, parameters, true);
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

  /** As {@link as}, on one snapshot: every statement sees what was committed when the first began. For reading only. */
  snapshot<T>(scope: TenantScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.transaction('lectern_app', scope.tenantId, work, 'REPEATABLE READ');
  }

  /** Runs `work` in one transaction across tenants, with the few columns that the service's own chores need. */
  asSystem<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.transaction('lectern_system', '', work);
  }

  /** Runs statements as the owner of the schema: making and dropping partitions. Holds no tenant's rows. */
  asOwner<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.dataSource.transaction((manager) => work(new Transaction(manager)));
  }

  private async transaction<T>(
    role: string,
    tenantId: string,
    work: (tx: Transaction) => Promise<T>,
    isolation?: 'REPEATABLE READ',
  ): Promise<T> {
    const scoped = async (manager: EntityManager) => {
      // One round trip: a search makes a dozen, and each waits for a busy machine.
      await manager.query(
        `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('lock_timeout', $3, true)`,
        [role, tenantId, lockWait],
      );
      return work(new Transaction(manager));
    };
    const run = () =>
      isolation ? this.dataSource.transaction(isolation, scoped) : this.dataSource.transaction(scoped);
    if (!isBackground()) return inForeground(() => again.execute(run));
    await giveWay();
    return again.execute(run);
  }
}
