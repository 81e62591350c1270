import { Inject, Injectable } from '@nestjs/common';
import { reopenDeletion } from '../knowledge/deletions.js';
import { Postings } from '../knowledge/postings.js';
import { BlobClaims } from '../platform/blob-claims.js';
import { BlobStore } from '../platform/blobs.js';
import { Database, type TenantScope } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { BaseClearing } from './clear-base.js';
import { checkBlobs } from './fsck-blobs.js';
import { type CheckedBase, checkDocuments } from './fsck-documents.js';
import { checkSegments, checkStrays, checkTables } from './fsck-indexes.js';
import { type Disagreement, type Finding, Report } from './fsck-report.js';
import { checkPointer, checkStats, tally, type Tally } from './fsck-versions.js';
import { Purging } from './purge.js';
import { Repair } from './repair.js';

const pageSize = 200;
const hourMs = 3_600_000;

export interface Checked {
  /** How many of each were looked at. */
  checked: Record<string, number>;
  disagreements: Disagreement[];
}

export interface CheckOptions {
  mend?: boolean;
  /** What was begun after this may still be on its way: uploads, deletions. */
  before?: Date;
}

/**
 * Compares what is stored with itself: documents, revisions, text, chunks, vectors, segments, bytes and versions. It
 * reads a page at a time, beside people and workers, and what it finds has been wrong at one moment.
 */
@Injectable()
export class Fsck {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
    private readonly claims: BlobClaims,
    private readonly repair: Repair,
    private readonly postings: Postings,
    private readonly purging: Purging,
    private readonly clearing: BaseClearing,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async check({ mend = false, before = new Date(Date.now() - hourMs) }: CheckOptions = {}): Promise<Checked> {
    const report = new Report(mend, ({ kind, where }, error) =>
      this.logger.warn({ err: error, kind, where }, 'what disagrees could not be mended'),
    );
    const tenants = await this.database.onceAsSystem<{ id: string }>('select id from tenant order by id');
    for (const { id: tenantId } of tenants) await this.checkTenant({ tenantId }, before, report);
    await report.take(await checkTables(this.database));
    return { checked: report.checked, disagreements: report.disagreements };
  }

  private async checkTenant(scope: TenantScope, before: Date, report: Report): Promise<void> {
    await report.take(await this.notCleared(scope, before));
    const bases = await this.database.snapshot(scope, (tx) =>
      tx.rows<{ id: string; deleted: boolean }>(
        `select b.id, b.deleted_at is not null as deleted from knowledge_base b
         where b.deleted_at is null or exists (select from document d where d.knowledge_base_id = b.id and d.purged_at is null) order by b.id`,
      ),
    );
    for (const { id, deleted } of bases) {
      report.count('knowledge bases', 1);
      if (!deleted) await this.checkBase(scope, id, report);
    }
    const stores = { database: this.database, blobs: this.blobs, claims: this.claims };
    for await (const { blobs, findings } of checkBlobs(scope, before, stores)) {
      report.count('blobs', blobs);
      await report.take(findings);
    }
  }

  private async checkBase(scope: TenantScope, id: string, report: Report): Promise<void> {
    const indexIds = await this.builtIn(scope, id);
    const base: CheckedBase = { ...scope, id, indexIds };
    await report.take(await checkPointer(this.database, base));
    for (const indexId of indexIds) {
      await report.take(await checkStrays(this.database, scope, indexId));
      await report.take(await checkSegments(this.database, scope, indexId));
    }
    const menders = { database: this.database, repair: this.repair, postings: this.postings };
    const counts: Tally = new Map();
    for await (const ids of this.documentPages(base)) {
      report.count('documents', ids.length);
      await report.take(await checkDocuments(base, ids, menders));
      await tally(this.database, base, ids, counts);
    }
    await report.take(await checkStats(this.database, base, counts));
  }

  /** What is still being built is whole nowhere yet, and no version shows it. */
  private async builtIn(scope: TenantScope, id: string): Promise<number[]> {
    const rows = await this.database.snapshot(scope, (tx) =>
      tx.rows<{ id: number }>(
        'select id from knowledge_index where knowledge_base_id = $1 and not building order by id',
        [id],
      ),
    );
    return rows.map((row) => row.id);
  }

  /** Also deleted ones that are not cleared away yet: versions count them. */
  private async *documentPages(base: CheckedBase): AsyncGenerator<string[]> {
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await this.database.snapshot(base, (tx) =>
        tx.rows<{ id: string }>(
          `select id from document where knowledge_base_id = $1 and purged_at is null and id > $2 order by id limit ${pageSize}`,
          [base.id, after],
        ),
      );
      if (rows.length > 0) yield rows.map(({ id }) => id);
      if (rows.length < pageSize) return;
      after = rows.at(-1)?.id ?? after;
    }
  }

  /** What was deleted a while ago and is still there in part. */
  private async notCleared(scope: TenantScope, before: Date): Promise<Finding[]> {
    const { documents, bases } = await this.database.snapshot(scope, async (tx) => ({
      documents: await tx.rows<{ id: string }>(
        `select d.id from document d where d.deleted_at is not null and (
           (d.purged_at is null and d.deleted_at < $1) or (d.purged_at is not null and (
             exists (select from revision r where r.document_id = d.id)
             or exists (select from document_grant g where g.document_id = d.id)
             or exists (select from message_document m where m.document_id = d.id and d.deleted_at < $1)
             or exists (select from deletion x where x.document_id = d.id and x.completed_at is null and d.deleted_at < $1))))
         order by d.id limit 1000`,
        [before],
      ),
      bases: await tx.rows<{ id: string }>(
        `select b.id from knowledge_base b where b.deleted_at < $1
           and (exists (select from document d where d.knowledge_base_id = b.id and d.deleted_at is null)
             or exists (select from sync s where s.knowledge_base_id = b.id and s.status in ('open', 'committing', 'blocked')))`,
        [before],
      ),
    }));
    return [
      ...bases.map(({ id }) => ({
        kind: 'base_not_cleared' as const,
        where: `base ${id}`,
        mend: async () => {
          await this.clearing.clear(id);
          return true;
        },
      })),
      ...documents.map(({ id }) => ({
        kind: 'document_not_cleared' as const,
        where: `document ${id}`,
        mend: () => this.clearAgain(scope, id),
      })),
    ];
  }

  private async clearAgain(scope: TenantScope, id: string): Promise<boolean> {
    await this.database.as(scope, async (tx) => {
      await tx.run('update document set purged_at = null where id = $1 and deleted_at is not null', [id]);
      await reopenDeletion(tx, id, ['rows', 'postings', 'answers']);
    });
    // Postings and answers are left to their own workers, which look every few seconds.
    await this.purging.purge(id);
    return true;
  }
}
