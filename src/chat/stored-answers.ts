import type { TenantScope, Transaction } from '../platform/database.js';
import { type KeptMessage, type KeptRecord, withoutDocuments } from './without-documents.js';

export interface StoredAnswer extends KeptMessage {
  id: string;
}

/**
 * An answer as it is given to be stored. Its record is the whole of it, with the ids of the passages it was made from and
 * its timings.
 */
export interface NewAnswer extends StoredAnswer {
  outcome: string;
  /** The only base that was asked, and its version that answered; null: several were, or an earlier version. */
  madeFrom: { knowledgeBaseId: string; version: number } | null;
}

/** Stores an answer, with the documents by which it is found when one of them is deleted. */
export async function storeAnswer(
  tx: Transaction,
  scope: TenantScope,
  conversationId: string,
  { id, text, record, outcome, madeFrom }: NewAnswer,
): Promise<void> {
  await tx.run(
    `insert into message (id, tenant_id, conversation_id, role, content, answer, knowledge_base_id, version, outcome)
     values ($1, $2, $3, 'assistant', $4, $5, $6, $7, $8)`,
    [
      id,
      scope.tenantId,
      conversationId,
      text,
      JSON.stringify(record),
      madeFrom?.knowledgeBaseId ?? null,
      madeFrom?.version ?? null,
      outcome,
    ],
  );
  await tx.run(
    'insert into message_document (tenant_id, message_id, document_id) select $1, $2, id from unnest($3::uuid[]) id',
    [scope.tenantId, id, record.documentIds],
  );
}

/**
 * For an answer that was stored just now: a document may have been deleted, and forgotten in all answers there were, while
 * this one was being written. To hold the documents meanwhile would have every answer wait for whoever publishes them.
 * @returns what is left of it; null: nothing was deleted
 */
export async function forgetDeleted(tx: Transaction, id: string): Promise<KeptRecord | null> {
  const rows = await tx.rows<{ id: string }>(
    `select d.id from message_document m join document d on d.id = m.document_id
     where m.message_id = $1 and d.deleted_at is not null`,
    [id],
  );
  if (rows.length === 0) return null;
  const message = await tx.row<StoredAnswer>(
    'select id, content as text, answer as record from message where id = $1 for update',
    [id],
  );
  if (!message) return null;
  const gone = rows.map((row) => row.id);
  return (await forgetIn(tx, message, gone)).record;
}

/** Some answers that speak of a document, held until the transaction ends. */
export function answersOf(tx: Transaction, documentId: string, limit: number): Promise<StoredAnswer[]> {
  return tx.rows<StoredAnswer>(
    `select m.id, m.content as text, m.answer as record from message_document d join message m on m.id = d.message_id
     where d.document_id = $1 order by m.id limit $2 for update of m`,
    [documentId, limit],
  );
}

/** Takes out of a stored answer what it says of these documents. @returns what is left, and how much was removed */
export async function forgetIn(tx: Transaction, message: StoredAnswer, gone: readonly string[]) {
  const left = withoutDocuments(message, gone);
  await tx.run('update message set content = $2, answer = $3 where id = $1', [
    message.id,
    left.text,
    JSON.stringify(left.record),
  ]);
  await tx.run('delete from message_document where message_id = $1 and document_id = any($2::uuid[])', [
    message.id,
    gone,
  ]);
  return left;
}
