import { Injectable } from '@nestjs/common';
import { Relay } from '../events/relay.js';
import { Deletions, endPart, recordRemoved } from '../knowledge/deletions.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { type KeptRecord, withoutDocuments } from './without-documents.js';

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

  /** @returns whether there may be more */
  private forgetSome(scope: TenantScope, documentId: string): Promise<boolean> {
    return this.database.as(scope, async (tx) => {
      const rows = await tx.rows<{ id: string; text: string; record: KeptRecord }>(
        `select m.id, m.content as text, m.answer as record from message_document d join message m on m.id = d.message_id
         where d.document_id = $1 order by m.id limit ${batch} for update of m`,
        [documentId],
      );
      const removed = { answers: rows.length, passages: 0, citations: 0 };
      for (const { id, ...message } of rows) {
        const left = withoutDocuments(message, [documentId]);
        removed.passages += left.removed.passages;
        removed.citations += left.removed.citations;
        await this.store(tx, documentId, { id, text: left.text, record: left.record });
      }
      await recordRemoved(tx, documentId, removed);
      if (rows.length < batch) await endPart(tx, documentId, 'answers');
      return rows.length === batch;
    });
  }

  private async store(tx: Transaction, documentId: string, message: { id: string; text: string; record: KeptRecord }) {
    await tx.run('update message set content = $2, answer = $3 where id = $1', [
      message.id,
      message.text,
      JSON.stringify(message.record),
    ]);
    await tx.run('delete from message_document where message_id = $1 and document_id = $2', [message.id, documentId]);
  }
}
