import { Injectable } from '@nestjs/common';
import { UnreadDocuments } from '../knowledge/document-terms.js';
import { NearIndexes } from '../knowledge/near-indexes.js';
import { Postings } from '../knowledge/postings.js';
import { SegmentMerging } from '../knowledge/segment-merging.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';

export const mergeJob = defineJob<{ indexId: number; tenantId: string }>({
  name: 'merge-segments',
  queue: 'light',
  attempts: 2,
  key: ({ indexId }) => String(indexId),
});

export const nearIndexJob = defineJob<{ indexId: number }>({
  name: 'near-index',
  queue: 'light',
  attempts: 2,
  key: ({ indexId }) => String(indexId),
});

/** The upkeep of both indexes: the graph over many vectors; of the lexical one, merges, and what documents that were stored before have not yet given it. */
@Injectable()
export class PostingJobs {
  constructor(
    private readonly queue: JobQueue,
    private readonly postings: Postings,
    private readonly merging: SegmentMerging,
    private readonly unread: UnreadDocuments,
    private readonly near: NearIndexes,
  ) {}

  @Handles(mergeJob)
  async merge({ indexId, tenantId }: { indexId: number; tenantId: string }): Promise<void> {
    await this.merging.merge({ tenantId }, indexId);
  }

  @Sweep(15_000)
  async announceMerges(): Promise<void> {
    for (const due of await this.merging.due()) await this.queue.add(mergeJob, due);
  }

  @Handles(nearIndexJob)
  async buildNearIndex({ indexId }: { indexId: number }): Promise<void> {
    await this.near.build(indexId);
  }

  @Sweep(30_000)
  async announceNearIndexes(): Promise<void> {
    for (const indexId of await this.near.due()) await this.queue.add(nearIndexJob, { indexId });
  }

  @Sweep(60_000)
  async readDocuments(): Promise<void> {
    while ((await this.unread.read(200)) === 200);
  }

  @Sweep(60_000)
  async rebuildMissing(): Promise<void> {
    for (
      let missing = await this.postings.missing(200);
      missing.length > 0;
      missing = await this.postings.missing(200)
    ) {
      for (const { tenantId, indexId, revisionId } of missing) {
        await this.postings.rebuild({ tenantId }, indexId, revisionId);
      }
      if (missing.length < 200) return;
    }
  }
}
