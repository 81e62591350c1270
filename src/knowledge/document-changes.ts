import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { ApiError } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { beginDeletion, type DeletionReason } from './deletions.js';
import { changeDetails, type DocumentDetails } from './document-details.js';
import { type DocumentRow, lockExternalId, openDocument, showDocument } from './documents.js';
import { type KnowledgeBase, openBase } from './knowledge-bases.js';
import { graceSeconds } from './lease-row.js';

type Deed<T> = (tx: Transaction, base: KnowledgeBase, document: DocumentRow) => Promise<T>;

/** What a person may do to a document without sending its content again. */
@Injectable()
export class DocumentChanges {
  constructor(private readonly database: Database) {}

  async patch(principal: Principal, base: string, id: string, wish: DocumentDetails) {
    return this.onDocument(principal, base, id, async (tx, { id: baseId }, document) => {
      await changeDetails(tx, principal, document, wish);
      // The caller may just have locked themselves out; the answer still shows what they did.
      const seesAll = { ...principal, scopes: new Set([...principal.scopes, 'documents:read-all' as const]) };
      return showDocument(await openDocument(tx, seesAll, baseId, id));
    });
  }

  /** Ends a document: it answers no question from this commit on, and no rollback brings it back. */
  async delete(principal: Principal, base: string, id: string, requestId: string): Promise<void> {
    await this.onDocument(principal, base, id, async (tx, { id: baseId }, document) => {
      if (document.external_id !== null) await lockExternalId(tx, baseId, document.external_id);
      const why = { cause: 'request', by: principal.caller, requestId } as const;
      await deleteDocument(tx, principal, baseId, document.id, why);
    });
  }

  /** Takes a document out of the next version; a rollback may undo it. */
  async unpublish(principal: Principal, base: string, id: string, requestId: string) {
    return this.onDocument(principal, base, id, async (tx, { id: baseId }, document) => {
      await unpublishDocument(tx, principal, baseId, document.id, requestId);
      return showDocument(document);
    });
  }

  /** Queues a failed revision again, with its attempts forgotten. @throws ApiError conflict when it has not failed */
  async retry(principal: Principal, base: string, id: string, requestId: string) {
    return this.onDocument(principal, base, id, async (tx, { id: baseId }, document) => {
      const queued = await tx.run(
        `update revision set status = 'queued', done = 0, total = 0, error_code = null, error_message = null, error_retryable = null,
           lease_token = null, lease_expires_at = now() + make_interval(secs => ${graceSeconds}), leases = 0, tries = 0, request_id = $2
         where id = $1 and status = 'failed'`,
        [document.revision_id, requestId],
      );
      if (queued === 0) throw new ApiError('conflict', 'Only a document that failed can be tried again.');
      await record(tx, principal, {
        type: 'document.queued',
        subjectId: document.id,
        requestId,
        data: {
          documentId: showId('doc', document.id),
          knowledgeBaseId: showId('kb', baseId),
          revisionId: showId('rev', document.revision_id),
        },
      });
      return showDocument(await openDocument(tx, principal, baseId, id));
    });
  }

  private onDocument<T>(principal: Principal, base: string, id: string, deed: Deed<T>): Promise<T> {
    return this.database.as(principal, async (tx) => {
      const opened = await openBase(tx, principal, base);
      return deed(tx, opened, await openDocument(tx, principal, opened.id, id));
    });
  }
}

/**
 * In the caller's transaction: gone from every query, its pending changes and unfinished revisions ended. What it leaves
 * behind is cleared away soon after, and the receipt that is begun here says so.
 */
export async function deleteDocument(
  tx: Transaction,
  scope: { tenantId: string },
  baseId: string,
  documentId: string,
  { requestId = null, ...why }: DeletionReason & { requestId?: string | null },
): Promise<void> {
  await endRevisions(tx, documentId);
  const deleted = await tx.run(
    'update document set deleted_at = now(), updated_at = now() where id = $1 and deleted_at is null',
    [documentId],
  );
  if (deleted === 0) return; // somebody else was quicker, and has told of it
  await tx.run('delete from pending_change where document_id = $1', [documentId]);
  await beginDeletion(tx, documentId, why);
  const data = { documentId: showId('doc', documentId), knowledgeBaseId: showId('kb', baseId) };
  await record(tx, scope, { type: 'document.deleted', subjectId: documentId, requestId, data });
}

/** In the caller's transaction: the next version leaves this document out. */
export async function unpublishDocument(
  tx: Transaction,
  scope: { tenantId: string },
  baseId: string,
  documentId: string,
  requestId: string | null,
): Promise<void> {
  await endRevisions(tx, documentId);
  await tx.run(
    `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind) values ($1, $2, $3, 'unpublish')
     on conflict (knowledge_base_id, document_id) do update set kind = 'unpublish', revision_id = null, created_at = now()`,
    [scope.tenantId, baseId, documentId],
  );
  await record(tx, scope, { type: 'document.unpublish_requested', requestId, data: { knowledgeBaseId: baseId } });
}

/** First of all, for the sake of its locks: a worker that stages goes from revision to document to pending change too. */
async function endRevisions(tx: Transaction, documentId: string): Promise<void> {
  await tx.run(
    `update revision set status = 'superseded', lease_token = null
     where document_id = $1 and status in ('queued', 'parsing', 'chunking', 'embedding', 'staged')`,
    [documentId],
  );
}
