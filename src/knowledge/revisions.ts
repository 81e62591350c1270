import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { PermanentFailure } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { Frees } from '../platform/jobs/handlers.js';
import { wellFormed } from '../platform/text.js';
import type { RevisionStatus } from './documents.js';
import { leaseColumns, type LeaseRow, toLeased } from './lease-row.js';
import type { RevisionInWork } from './chunks.js';
import type { Pipeline } from './pipeline.js';
import { readDetails } from './document-terms.js';

/** Files are read in the fast lane first; those that take long wait in the slow one, where they hold up only each other. */
export type Lane = 'fast' | 'slow';

/** A revision that this worker holds: nobody else may advance it until the lease ends. */
export interface LeasedRevision extends TenantScope {
  id: string;
  documentId: string;
  knowledgeBaseId: string;
  number: number;
  contentHash: string;
  filename: string | null;
  declaredType: string | null;
  title: string;
  titleGiven: boolean;
  pipeline: Pipeline;
  /** The index that goes with the pipeline; null: none was made yet. */
  indexId: number | null;
  /** Its stored text is whole: it was staged before, for another index. */
  wasStaged: boolean;
  lease: string;
  requestId: string | null;
  lane: Lane;
}

/** Somebody else has the revision now, or it is no longer wanted: whoever gets this stops without a word. */
export class LeaseLost extends Error {
  constructor({ id }: LeasedRevision) {
    super(`the lease on revision ${id} is gone`);
  }
}

const maxLeases = 5;
const maxTries = 20;

/** The life of a revision, each step a compare-and-set under its lease. */
@Injectable()
export class Revisions {
  private readonly leaseSeconds: number;

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) config: Config,
  ) {
    this.leaseSeconds = config.workers.leaseSeconds;
  }

  /**
   * Takes the lease on a revision that waits, or whose worker has gone silent.
   * @returns null when there is nothing to do: it is done, held, in the other lane, superseded, or was given up just now
   */
  async claim(id: string, lane: Lane): Promise<LeasedRevision | null> {
    const [owner] = await this.database.onceAsSystem<{ tenant_id: string }>(
      'select tenant_id from revision where id = $1',
      [id],
    );
    if (!owner) return null;
    const scope = { tenantId: owner.tenant_id };
    return this.database.as(scope, async (tx) => {
      const row = await this.waiting(tx, id, lane);
      if (!row) return null;
      if (await this.overtaken(tx, row.id, row.document_id, row.number)) return null;
      const held = toLeased(row, randomUUID());
      if (row.leases >= maxLeases) {
        const why = new PermanentFailure(
          'crash_loop',
          'Reading this document ended the worker several times, so it was given up.',
          true,
        );
        await this.end(tx, held, why);
        return null;
      }
      await tx.run(
        `update revision set status = 'parsing', lease_token = $2, lease_expires_at = now() + make_interval(secs => ${this.leaseSeconds}),
           leases = leases + 1, done = 0, total = 0 where id = $1`,
        [id, held.lease],
      );
      if (row.leases === 0 && row.tries === 0 && lane === 'fast')
        await record(tx, scope, event('document.processing', held));
      return held;
    });
  }

  /**
   * Takes the lease on a revision that is done, to make whole again what was stored of it; its status stays.
   * @returns null when it is not there, not done, or somebody has it
   */
  async borrow(scope: TenantScope, id: string): Promise<LeasedRevision | null> {
    return this.database.as(scope, async (tx) => {
      const row = await tx.row<LeaseRow>(
        `select ${leaseColumns} where r.id = $1 and r.status in ('staged', 'ready', 'superseded') and d.deleted_at is null
           and (r.lease_token is null or r.lease_expires_at < now()) for update of r skip locked`,
        [id],
      );
      if (!row) return null;
      const held = toLeased(row, randomUUID());
      await tx.run(
        `update revision set lease_token = $2, lease_expires_at = now() + make_interval(secs => ${this.leaseSeconds}) where id = $1`,
        [id, held.lease],
      );
      return held;
    });
  }

  /** Ends what {@link borrow} began. */
  async giveBack(revision: LeasedRevision): Promise<void> {
    await this.database.as(revision, (tx) =>
      tx.run('update revision set lease_token = null where id = $1 and lease_token = $2', [
        revision.id,
        revision.lease,
      ]),
    );
  }

  /** Enters a stage, or reports progress in it; either way the lease begins anew. @throws LeaseLost */
  async advance(revision: LeasedRevision, status: RevisionStatus, done: number, total: number): Promise<void> {
    const parameters = [revision.id, revision.lease, status, done, total];
    const held = await this.database.once(revision, this.holding('status = $3, done = $4, total = $5'), parameters);
    if (held.length === 0) throw new LeaseLost(revision);
  }

  /** Keeps the lease alive while one step takes long. @throws LeaseLost */
  async heartbeat(revision: LeasedRevision): Promise<void> {
    await this.database.as(revision, (tx) => this.hold(tx, revision, 'leases = leases', []));
  }

  /** Inside a transaction that writes for this revision: proves that the lease still holds. @throws LeaseLost */
  async hold(tx: Transaction, revision: LeasedRevision, set: string, parameters: unknown[]): Promise<void> {
    const held = await tx.run(this.holding(set), [revision.id, revision.lease, ...parameters]);
    if (held === 0) throw new LeaseLost(revision);
  }

  private holding(set: string): string {
    return `update revision set lease_expires_at = now() + make_interval(secs => ${this.leaseSeconds}), ${set}
      where id = $1 and lease_token = $2 returning id`;
  }

  /** As chunks of it are stored: invisible until a version shows them, and under its lease. */
  inWork(revision: LeasedRevision): RevisionInWork {
    const { id, tenantId, documentId, knowledgeBaseId } = revision;
    const hold = (tx: Transaction, progress?: { done: number; total: number }) =>
      progress
        ? this.hold(tx, revision, 'done = greatest(done, $3), total = $4', [progress.done, progress.total])
        : this.hold(tx, revision, 'leases = leases', []);
    return { id, tenantId, documentId, knowledgeBaseId, visible: '{}', hold };
  }

  /**
   * All chunks are stored: the next version of the base may show them. A title found in the text stands where nobody
   * gave one, and is read in the language of the text.
   * @throws LeaseLost
   */
  async stage(revision: LeasedRevision, receipt: Record<string, unknown>, title: string | null): Promise<void> {
    await this.database.as(revision, async (tx) => {
      await this.hold(tx, revision, `status = 'staged', receipt = $3, lease_token = null`, [JSON.stringify(receipt)]);
      if (await this.overtaken(tx, revision.id, revision.documentId, revision.number)) return;
      await record(tx, revision, {
        type: 'revision.staged',
        requestId: revision.requestId,
        data: { knowledgeBaseId: revision.knowledgeBaseId },
      });
      if (await this.heldBack(tx, revision, title)) return;
      if (title !== null) {
        await tx.run('update document set title = $2 where id = $1 and not title_given', [revision.documentId, title]);
      }
      await readDetails(tx, revision.documentId);
      await tx.run(
        `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id) values ($1, $2, $3, 'publish', $4)
         on conflict (knowledge_base_id, document_id) do update set kind = 'publish', revision_id = excluded.revision_id, created_at = now()`,
        [revision.tenantId, revision.knowledgeBaseId, revision.documentId, revision.id],
      );
    });
  }

  /** Whether a sync holds it back: nothing is said of its document before that commits. */
  private async heldBack(tx: Transaction, revision: LeasedRevision, title: string | null): Promise<boolean> {
    const found = title === null ? {} : { foundTitle: title };
    const held = await tx.run(
      'update revision set details = details || $2::jsonb where id = $1 and sync_id is not null',
      [revision.id, JSON.stringify(found)],
    );
    return held > 0;
  }

  /** It can never succeed as it is: told once, with the reason. What answered before goes on answering. */
  async fail(revision: LeasedRevision, failure: PermanentFailure): Promise<void> {
    await this.database.as(revision, (tx) => this.end(tx, revision, failure, 'lease_token = $5', [revision.lease]));
  }

  /**
   * Gives the lease back after an error that may pass: the revision waits, longer each time, and is announced again by
   * the sweep. After many tries it fails with the reason, so that nothing is stuck for ever.
   */
  async release(revision: LeasedRevision): Promise<void> {
    await this.database.as(revision, async (tx) => {
      const row = await tx.row<{ tries: number }>(
        `update revision set status = 'queued', lease_token = null, leases = greatest(leases - 1, 0), tries = tries + 1,
           lease_expires_at = now() + make_interval(secs => least(600, 5 * 2 ^ least(tries, 7))::int)
         where id = $1 and lease_token = $2 returning tries`,
        [revision.id, revision.lease],
      );
      if (row && row.tries >= maxTries) {
        const sentence = `Reading this document was tried ${maxTries} times and something was not to be had each time: try it again later.`;
        await this.end(tx, revision, new PermanentFailure('gave_up', sentence, true));
      }
    });
  }

  /** It is read in the slow lane from now on, under the same lease: should that end, it is taken up there. */
  async moveToSlow(revision: LeasedRevision): Promise<void> {
    await this.database.as(revision, (tx) =>
      tx.run(`update revision set lane = 'slow' where id = $1 and lease_token = $2`, [revision.id, revision.lease]),
    );
  }

  /** Gives the lease back unspent: the revision waits for the slow lane. */
  async defer(revision: LeasedRevision): Promise<void> {
    await this.database.as(revision, (tx) =>
      tx.run(
        `update revision set status = 'queued', lane = 'slow', lease_token = null, leases = greatest(leases - 1, 0),
           lease_expires_at = now() where id = $1 and lease_token = $2`,
        [revision.id, revision.lease],
      ),
    );
  }

  /**
   * Gives the lease back while something that every document needs is down: that says nothing about this one, so it does
   * not count as a lease, and as one try however often it happens (one, so that its processing is announced only once).
   */
  async postpone(revision: LeasedRevision, waitMs: number): Promise<void> {
    await this.database.as(revision, (tx) =>
      tx.run(
        `update revision set status = 'queued', lease_token = null, leases = greatest(leases - 1, 0), done = 0, total = 0,
           tries = greatest(tries, 1), lease_expires_at = now() + make_interval(secs => $3) where id = $1 and lease_token = $2`,
        [revision.id, revision.lease, waitMs / 1000],
      ),
    );
  }

  /** Ends the lease and the waiting time of every unfinished revision: the next sweep announces them all. */
  @Frees()
  async freeAll(): Promise<void> {
    const unfinished = `status in ('queued', 'parsing', 'chunking', 'embedding') and lease_expires_at > now()`;
    const tenants = await this.database.onceAsSystem<{ tenant_id: string }>(
      `select distinct tenant_id from revision where ${unfinished}`,
    );
    for (const { tenant_id: tenantId } of tenants) {
      await this.database.as({ tenantId }, (tx) =>
        tx.run(`update revision set lease_expires_at = now() where ${unfinished}`),
      );
    }
  }

  private waiting(tx: Transaction, id: string, lane: Lane): Promise<LeaseRow | null> {
    return tx.row<LeaseRow>(
      `select ${leaseColumns}
       where r.id = $1 and r.lane = $2 and d.deleted_at is null and b.deleted_at is null
         and (r.status = 'queued' or (r.status in ('parsing', 'chunking', 'embedding') and r.lease_expires_at < now()))
       for update of r skip locked`,
      [id, lane],
    );
  }

  /**
   * A newer revision of the same document makes this one pointless, unless a sync holds that back: a burst of edits is read
   * once or twice, not a thousand times.
   */
  private async overtaken(tx: Transaction, id: string, documentId: string, number: number): Promise<boolean> {
    const superseded = await tx.run(
      `update revision r set status = 'superseded', lease_token = null where id = $1 and exists
         (select from revision n where n.document_id = $2 and n.number > $3 and n.status not in ('failed', 'superseded')
            and (n.sync_id is null or n.sync_id = r.sync_id))`,
      [id, documentId, number],
    );
    return superseded > 0;
  }

  /** @param lease as SQL: what must hold of it, where the caller has not looked in this transaction */
  private async end(
    tx: Transaction,
    revision: LeasedRevision,
    failure: PermanentFailure,
    lease = 'true',
    parameters: unknown[] = [],
  ): Promise<void> {
    const failed = await tx.run(
      `update revision set status = 'failed', lease_token = null, error_code = $2, error_message = $3, error_retryable = $4
       where id = $1 and status in ('queued', 'parsing', 'chunking', 'embedding') and ${lease}`,
      [revision.id, failure.code, wellFormed(failure.message).slice(0, 1000), failure.retryable, ...parameters],
    );
    if (failed > 0)
      await record(
        tx,
        revision,
        event('document.failed', revision, { code: failure.code, retryable: failure.retryable }),
      );
  }
}

function event(
  type: 'document.processing' | 'document.failed',
  revision: LeasedRevision,
  more: Record<string, unknown> = {},
) {
  return {
    type,
    subjectId: revision.documentId,
    requestId: revision.requestId,
    data: {
      documentId: showId('doc', revision.documentId),
      knowledgeBaseId: showId('kb', revision.knowledgeBaseId),
      revisionId: showId('rev', revision.id),
      ...more,
    },
  };
}
