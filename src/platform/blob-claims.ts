import { Injectable } from '@nestjs/common';
import { ConstantBackoff, handleType, retry } from 'cockatiel';
import { ApiError } from '../errors.js';
import { BlobStore } from './blobs.js';
import { Database, type TenantScope, type Transaction } from './database.js';
import { newId } from './ids.js';
import { Frees, Sweep } from './jobs/handlers.js';
import type { StagedBlob } from './staging.js';

type Kind = 'keep' | 'remove';

// How long a dead process stands in the way of others. A store gives up on a removal long before its claim ends, so that
// no late one meets bytes that were stored after it; whoever keeps looks at the end whether the claim still holds.
const seconds: Record<Kind, number> = { keep: 300, remove: 120 };

/** These bytes are being removed this moment: a matter of one call to the store. */
class BeingRemoved extends Error {}

const untilRemoved = retry(handleType(BeingRemoved), { maxAttempts: 100, backoff: new ConstantBackoff(100) });

/**
 * Between those who store bytes and then make rows that need them, and those who remove bytes because no row does. To do
 * either takes calls to a store that may be far away, so neither waits inside a transaction: each claims the content in
 * one short transaction, works, and lets go in another. Any number may keep at once; removing is done alone.
 */
@Injectable()
export class BlobClaims {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
  ) {}

  /**
   * Stores what was staged, then makes `commit` true: bytes and rows, or no rows. If that fails, bytes that nothing else
   * needs are left to the sweep of orphans.
   * @throws ApiError unavailable when the bytes could not be stored in time
   */
  async keep<T>(scope: TenantScope, staged: StagedBlob, commit: (tx: Transaction) => Promise<T>): Promise<T> {
    const claim = await this.claimToKeep(scope, staged.hash);
    try {
      await this.blobs.keep(scope.tenantId, staged);
      return await this.database.as(scope, async (tx) => {
        await lockContent(tx, scope, staged.hash);
        if (!(await release(tx, claim))) throw new ApiError('unavailable');
        return commit(tx);
      });
    } catch (error) {
      // Should this fail too, the claim ends by itself.
      await this.database.as(scope, (tx) => release(tx, claim)).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Removes bytes, unless `needed` says that they are. A removal that failed keeps its claim, since the store may yet come
   * to it.
   * @returns `busy` while somebody is storing or removing them: ask again later
   */
  async remove(
    scope: TenantScope,
    hash: string,
    needed: (tx: Transaction) => Promise<boolean>,
  ): Promise<'gone' | 'needed' | 'busy'> {
    const claim = await this.database.as(scope, async (tx) => {
      await lockContent(tx, scope, hash);
      if ((await claimed(tx, hash)).length > 0) return 'busy';
      if (await needed(tx)) return 'needed';
      return { id: await insert(tx, scope, hash, 'remove') };
    });
    if (typeof claim === 'string') return claim;
    await this.blobs.remove(scope.tenantId, hash);
    await this.database.as(scope, (tx) => release(tx, claim.id));
    return 'gone';
  }

  /** Of a process that ended in the middle. */
  @Frees()
  async freeAll(): Promise<void> {
    await this.database.onceAsSystem('delete from blob_claim');
  }

  /** Claims whose process died. They hold nobody up any more; this only clears them away. */
  @Sweep(600_000)
  async forget(): Promise<void> {
    await this.database.onceAsSystem('delete from blob_claim where expires_at < now()');
  }

  private async claimToKeep(scope: TenantScope, hash: string): Promise<string> {
    try {
      return await untilRemoved.execute(() =>
        this.database.as(scope, async (tx) => {
          await lockContent(tx, scope, hash);
          if ((await claimed(tx, hash)).includes('remove')) throw new BeingRemoved();
          return insert(tx, scope, hash, 'keep');
        }),
      );
    } catch (error) {
      throw error instanceof BeingRemoved ? new ApiError('unavailable', undefined, [], { cause: error }) : error;
    }
  }
}

/** Until the transaction ends, no other claim on this content is made or let go. */
async function lockContent(tx: Transaction, { tenantId }: TenantScope, hash: string): Promise<void> {
  await tx.run('select pg_advisory_xact_lock(hashtextextended($1, 1))', [`${tenantId} ${hash}`]);
}

/** Which claims hold. By the clock on the wall: this transaction may have begun long before it got the lock. */
async function claimed(tx: Transaction, hash: string): Promise<Kind[]> {
  const sql = 'select kind from blob_claim where content_hash = $1 and expires_at > clock_timestamp()';
  return (await tx.rows<{ kind: Kind }>(sql, [hash])).map(({ kind }) => kind);
}

async function insert(tx: Transaction, { tenantId }: TenantScope, hash: string, kind: Kind): Promise<string> {
  const id = newId();
  await tx.run(
    `insert into blob_claim (id, tenant_id, content_hash, kind, expires_at)
     values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))`,
    [id, tenantId, hash, kind, seconds[kind]],
  );
  return id;
}

/** @returns whether the claim still held */
async function release(tx: Transaction, id: string): Promise<boolean> {
  const sql = 'delete from blob_claim where id = $1 returning expires_at > clock_timestamp() as held';
  return (await tx.row<{ held: boolean }>(sql, [id]))?.held === true;
}
