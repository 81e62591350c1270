import { Injectable } from '@nestjs/common';
import { Relay } from '../events/relay.js';
import { Deletions, endPart, recordRemoved, reopenDeletion } from '../knowledge/deletions.js';
import { Database, type TenantScope } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { answersOf, forgetIn } from './stored-answers.js';

export const forgetAnswersJob = defineJob<{ documentId: string }>({
  name: 'forget-answers',
  queue: 'light',
  attempts: 5,
  key: ({ documentId }) => documentId,
});

const batch = 50;

/** Stored answers lose what they say of a document that was deleted. */
@Injectable()
export class ForgettingJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly database: Database,
    private readonly deletions: Deletions,
  ) {
    relay.subscribe('document.deleted', (event) =>
      queue.add(forgetAnswersJob, { documentId: readId('doc', String(event.data['documentId'])) }),
    );
  }

  @Handles(forgetAnswersJob)
  async forget({ documentId }: { documentId: string }): Promise<void> {
    const scope = await this.deletions.scope(documentId, 'answers');
    if (!scope) return;
    while (await this.forgetSome(scope, documentId));
  }

  @Sweep(20_000)
  async announce(): Promise<void> {
    for (const { documentId } of await this.deletions.waiting('answers'))
      await this.queue.add(forgetAnswersJob, { documentId });
  }

  /**
   * What nobody is to clear away and is there all the same: an answer that was stored after its document was deleted, by a
   * process that died before it looked at that; or one about a document that was deleted before there were receipts.
   */
  @Sweep(60_000)
  async announceMissed(): Promise<void> {
    const missed = await this.database.onceAsSystem<{ documentId: string; tenantId: string }>(
      `select d.id as "documentId", d.tenant_id as "tenantId" from document d
         where d.deleted_at is not null and exists (select from message_document m where m.document_id = d.id)
           and not exists (select from deletion x where x.document_id = d.id and 'answers' = any(x.pending)) limit 1000`,
    );
    for (const { documentId, tenantId } of missed) {
      await this.database.as({ tenantId }, (tx) => reopenDeletion(tx, documentId, ['answers']));
      await this.queue.add(forgetAnswersJob, { documentId });
    }
  }

  /** @returns whether there may be more */
  private forgetSome(scope: TenantScope, documentId: string): Promise<boolean> {
    return this.database.as(scope, async (tx) => {
      const messages = await answersOf(tx, documentId, batch);
      const removed = { answers: messages.length, passages: 0, citations: 0 };
      for (const message of messages) {
        const here = (await forgetIn(tx, message, [documentId])).removed;
        removed.passages += here.passages;
        removed.citations += here.citations;
      }
      await recordRemoved(tx, documentId, removed);
      if (messages.length < batch) await endPart(tx, documentId, 'answers');
      return messages.length === batch;
    });
  }
}
