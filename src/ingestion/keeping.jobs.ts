import { Injectable } from '@nestjs/common';
import { Relay } from '../events/relay.js';
import { Deletions } from '../knowledge/deletions.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { BaseClearing } from './clear-base.js';
import { Purging } from './purge.js';
import { Retention } from './retention.js';

export const clearBaseJob = defineJob<{ knowledgeBaseId: string }>({
  name: 'clear-base',
  queue: 'light',
  attempts: 5,
  key: ({ knowledgeBaseId }) => knowledgeBaseId,
});

export const retainJob = defineJob<{ knowledgeBaseId: string; tenantId: string }>({
  name: 'retain',
  queue: 'light',
  attempts: 2,
  key: ({ knowledgeBaseId }) => knowledgeBaseId,
});

/** What is no longer kept: what deleted bases and documents leave behind, and old versions. */
@Injectable()
export class KeepingJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly deletions: Deletions,
    private readonly purging: Purging,
    private readonly clearing: BaseClearing,
    private readonly retention: Retention,
  ) {
    relay.subscribe('knowledge_base.deleted', (event) =>
      queue.add(clearBaseJob, { knowledgeBaseId: String(event.data['knowledgeBaseId']) }),
    );
  }

  @Handles(clearBaseJob)
  async clearBase({ knowledgeBaseId }: { knowledgeBaseId: string }): Promise<void> {
    await this.clearing.clear(knowledgeBaseId);
  }

  @Sweep(30_000)
  async announceDeletedBases(): Promise<void> {
    for (const due of await this.clearing.due()) await this.queue.add(clearBaseJob, due);
  }

  /** Merges are set going every 15 s: that makes half a minute from the end of a document to the end of its postings. */
  @Sweep(10_000)
  async endMerged(): Promise<void> {
    const waiting = await this.deletions.waiting('postings');
    for (const tenantId of new Set(waiting.map((deletion) => deletion.tenantId)))
      await this.purging.endMerged({ tenantId });
  }

  @Handles(retainJob)
  async retain({ knowledgeBaseId, tenantId }: { knowledgeBaseId: string; tenantId: string }): Promise<void> {
    await this.retention.retain({ tenantId }, knowledgeBaseId);
  }

  @Sweep(300_000)
  async announceRetention(): Promise<void> {
    for (const due of await this.retention.due()) await this.queue.add(retainJob, due);
  }
}
