import { Injectable } from '@nestjs/common';
import { Relay } from '../events/relay.js';
import { Database } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { Articles } from './articles.js';
import { Ingestion } from './ingest.js';
import { Publishing } from './publish.js';
import { Purging } from './purge.js';

export const ingestJob = defineJob<{ revisionId: string }>({
  name: 'ingest',
  queue: 'heavy',
  attempts: 3,
  key: ({ revisionId }) => revisionId,
});

// Without a key: a reminder that comes while a publish is running must not be taken for that one.
export const publishJob = defineJob<{ knowledgeBaseId: string; tenantId: string }>({
  name: 'publish',
  queue: 'light',
  attempts: 5,
});

export const purgeJob = defineJob<{ documentId: string }>({
  name: 'purge',
  queue: 'light',
  attempts: 5,
  key: ({ documentId }) => documentId,
});

// Long enough for a burst of uploads to share a version, short enough to go unnoticed after a single one.
const publishDelayMs = 150;

/** Which event leads to which job, and the sweeps that find what the queue forgot. */
@Injectable()
export class IngestionJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly database: Database,
    private readonly ingestion: Ingestion,
    private readonly publishing: Publishing,
    private readonly purging: Purging,
    articles: Articles,
  ) {
    relay.subscribe('document.queued', (event) =>
      queue.add(ingestJob, { revisionId: readId('rev', String(event.data['revisionId'])) }),
    );
    for (const type of ['revision.staged', 'document.unpublish_requested'] as const) {
      relay.subscribe(type, (event) => this.remindToPublish(String(event.data['knowledgeBaseId']), event.tenantId));
    }
    relay.subscribe('document.deleted', (event) =>
      queue.add(purgeJob, { documentId: readId('doc', String(event.data['documentId'])) }),
    );
    relay.subscribe('article.changed', (event) => articles.apply(event));
  }

  @Handles(ingestJob)
  async ingest({ revisionId }: { revisionId: string }): Promise<void> {
    await this.ingestion.ingest(revisionId);
  }

  @Handles(publishJob)
  async publish({ knowledgeBaseId, tenantId }: { knowledgeBaseId: string; tenantId: string }): Promise<void> {
    await this.publishing.publish(knowledgeBaseId, { tenantId });
  }

  @Handles(purgeJob)
  async purge({ documentId }: { documentId: string }): Promise<void> {
    await this.purging.purge(documentId);
  }

  /** Revisions whose worker went silent, or whose reminder was lost. */
  @Sweep(20_000)
  async announceUnfinished(): Promise<void> {
    const rows = await this.database.asSystem((tx) =>
      tx.rows<{ id: string }>(
        `select id from revision where status in ('queued', 'parsing', 'chunking', 'embedding') and lane = 'fast'
           and lease_expires_at < now() order by lease_expires_at limit 1000`,
      ),
    );
    for (const { id } of rows) await this.queue.add(ingestJob, { revisionId: id });
  }

  @Sweep(20_000)
  async announcePending(): Promise<void> {
    const rows = await this.database.asSystem((tx) =>
      tx.rows<{ id: string; tenant_id: string }>(
        'select distinct knowledge_base_id as id, tenant_id from pending_change limit 1000',
      ),
    );
    for (const row of rows) await this.remindToPublish(row.id, row.tenant_id);
  }

  @Sweep(60_000)
  async announceDeleted(): Promise<void> {
    const rows = await this.database.asSystem((tx) =>
      tx.rows<{ id: string }>('select id from document where deleted_at is not null and purged_at is null limit 1000'),
    );
    for (const { id } of rows) await this.queue.add(purgeJob, { documentId: id });
  }

  private remindToPublish(knowledgeBaseId: string, tenantId: string): Promise<void> {
    return this.queue.add(publishJob, { knowledgeBaseId, tenantId }, { delayMs: publishDelayMs });
  }
}
