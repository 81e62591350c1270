import { Injectable } from '@nestjs/common';
import { Relay } from '../events/relay.js';
import { Syncs } from '../knowledge/syncs.js';
import { Turns } from '../knowledge/turns.js';
import { Database } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { soon } from '../platform/lane.js';
import { Articles } from './articles.js';
import { Publishing } from './publish.js';
import { Purging } from './purge.js';
import { SlowLane } from './slow-lane.js';

// One reminder for each revision that waits. Which of them is worked on when it comes is the database's choice: a queue
// that is first in, first out would have one tenant wait for all of another's backlog.
export const ingestJob = defineJob<{ revisionId: string }>({
  name: 'ingest',
  queue: 'heavy',
  attempts: 3,
  key: ({ revisionId }) => revisionId,
});

type PublishReminder = {
  knowledgeBaseId: string;
  tenantId: string;
  /** When it is due, in ms since 1970. */
  moment: number;
  /** How often it was put off already: once at most. */
  putOff: number;
};

// The reminders of one moment are one job, or a bulk load would publish a thousand times over. One that comes while a
// publish is running belongs to a later moment and is not taken for it.
export const publishJob = defineJob<PublishReminder>({
  name: 'publish',
  queue: 'light',
  attempts: 5,
  key: ({ knowledgeBaseId, moment }) => `${knowledgeBaseId} ${moment}`,
});

export const purgeJob = defineJob<{ documentId: string }>({
  name: 'purge',
  queue: 'light',
  attempts: 5,
  key: ({ documentId }) => documentId,
});

// Long enough for a burst of uploads to share a version, short enough to go unnoticed after a single one.
const publishDelayMs = 100;
// A base that goes on changing gets a version a second.
const burstDelayMs = 1000;

/** Which event leads to which job, and the sweeps that find what the queue forgot. */
@Injectable()
export class IngestionJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly database: Database,
    private readonly turns: Turns,
    private readonly slowLane: SlowLane,
    private readonly publishing: Publishing,
    private readonly purging: Purging,
    private readonly syncs: Syncs,
    articles: Articles,
  ) {
    relay.subscribe('document.queued', (event) =>
      queue.add(ingestJob, { revisionId: readId('rev', String(event.data['revisionId'])) }),
    );
    relay.subscribe('revision.requeued', (event) =>
      queue.add(ingestJob, { revisionId: readId('rev', String(event.data['revisionId'])) }),
    );
    for (const type of [
      'revision.staged',
      'document.unpublish_requested',
      'sync.committed',
      'index.version.judged',
    ] as const) {
      relay.subscribe(type, (event) => this.remindToPublish(String(event.data['knowledgeBaseId']), event.tenantId));
    }
    // It may have been the last one that a committed sync was waiting for.
    relay.subscribe('document.failed', (event) =>
      this.remindToPublish(readId('kb', String(event.data['knowledgeBaseId'])), event.tenantId),
    );
    relay.subscribe('document.deleted', (event) =>
      queue.add(purgeJob, { documentId: readId('doc', String(event.data['documentId'])) }),
    );
    relay.subscribe('article.changed', (event) => articles.apply(event));
  }

  @Handles(ingestJob)
  async ingest(_reminder: { revisionId: string }): Promise<void> {
    // Workers that look at the same moment see the same one next. Who comes second goes on to another: each reminder is for
    // one revision, and one that ended without any would leave one waiting for the sweep. Who has worked one looks for one
    // more: in an outage reminders are lost, and the next one would do the work of the lost one and leave its own.
    const tried: string[] = [];
    for (let worked = 0; worked < 2;) {
      const turn = await this.turns.next(tried);
      if (turn === null) return;
      const start = () => this.slowLane.startFast(turn.id);
      if (await (turn.isOneOfFew ? soon(start) : start())) worked += 1;
      else tried.push(turn.id);
    }
  }

  @Handles(publishJob)
  async publish({ knowledgeBaseId, tenantId, putOff }: PublishReminder): Promise<void> {
    if (putOff > 0 || !(await this.publishing.changesOften(knowledgeBaseId, { tenantId }))) {
      const publish = () => this.publishing.publish(knowledgeBaseId, { tenantId });
      return (await this.turns.hasFew({ tenantId })) ? soon(publish) : publish();
    }
    const moment = Math.ceil((Date.now() + publishDelayMs) / burstDelayMs) * burstDelayMs;
    await this.queue.add(
      publishJob,
      { knowledgeBaseId, tenantId, moment, putOff: 1 },
      { delayMs: moment - Date.now() },
    );
  }

  @Handles(purgeJob)
  async purge({ documentId }: { documentId: string }): Promise<void> {
    await this.purging.purge(documentId);
  }

  /** Revisions whose worker went silent, or whose reminder was lost. */
  @Sweep(20_000)
  async announceUnfinished(): Promise<void> {
    const rows = await this.database.onceAsSystem<{ id: string }>(
      `select id from revision where status in ('queued', 'parsing', 'chunking', 'embedding') and lane = 'fast'
           and lease_expires_at < now() order by lease_expires_at limit 1000`,
    );
    for (const { id } of rows) await this.queue.add(ingestJob, { revisionId: id });
  }

  @Sweep(20_000)
  async announcePending(): Promise<void> {
    const rows = await this.database.onceAsSystem<{ id: string; tenant_id: string }>(
      `select knowledge_base_id as id, tenant_id from pending_change
         union select knowledge_base_id, tenant_id from sync where status = 'committing' limit 1000`,
    );
    for (const row of rows) await this.remindToPublish(row.id, row.tenant_id);
  }

  @Sweep(60_000)
  async expireSyncs(): Promise<void> {
    await this.syncs.expire();
  }

  @Sweep(20_000)
  async announceDeleted(): Promise<void> {
    const rows = await this.database.onceAsSystem<{ id: string }>(
      'select id from document where deleted_at is not null and purged_at is null limit 1000',
    );
    for (const { id } of rows) await this.queue.add(purgeJob, { documentId: id });
  }

  private remindToPublish(knowledgeBaseId: string, tenantId: string): Promise<void> {
    const moment = (Math.ceil(Date.now() / publishDelayMs) + 1) * publishDelayMs;
    return this.queue.add(
      publishJob,
      { knowledgeBaseId, tenantId, moment, putOff: 0 },
      { delayMs: moment - Date.now() },
    );
  }
}
