import type { Transaction } from '../platform/database.js';
import type { VersionChange } from './version-changes.js';

/** What a version cost, as its revisions' receipts say, and what it takes away from its parent. Times are in ms. */
export interface VersionReceipt {
  chunks: { total: number; reused: number; embedded: number; removed: number };
  tokensEmbedded: number;
  tokenCount: 'exact' | 'estimate';
  ms: { parsing: number; chunking: number; embedding: number };
}

/**
 * Of the chunks that a version shows anew (`total`), how many needed a new vector; and how many that its parent showed
 * have no counterpart. Counted in the index: what a revision's receipt calls removed was so when it was staged. What a
 * revision cost is said by the first version that answered with it, and not again when it comes back.
 */
export async function receiptOf(
  tx: Transaction,
  knowledgeBaseId: string,
  indexId: number,
  changes: readonly VersionChange[],
): Promise<VersionReceipt> {
  const row = await tx.row<VersionReceipt['ms'] & Record<Counted, number> & { exact: boolean }>(
    `with change as (select * from unnest($3::uuid[], $4::uuid[], $5::uuid[]) as c (document_id, before, after)),
       paid as (
         select r.receipt from change c join revision r on r.id = c.after
         where not exists (select from version_change v join version s on s.knowledge_base_id = $1 and s.number = v.number
           where v.knowledge_base_id = $1 and v.document_id = c.document_id and v.after = c.after and s.activated_at is not null))
     select coalesce(sum((receipt->'chunks'->>'embedded')::int), 0)::int as embedded,
       coalesce(sum((receipt->>'tokensEmbedded')::int), 0)::int as tokens,
       coalesce(bool_and(receipt->>'tokenCount' = 'exact'), true) as exact,
       coalesce(sum((receipt->'ms'->>'parsing')::int), 0)::int as parsing,
       coalesce(sum((receipt->'ms'->>'chunking')::int), 0)::int as chunking,
       coalesce(sum((receipt->'ms'->>'embedding')::int), 0)::int as embedding,
       (select count(*)::int from chunk n where n.index_id = $2 and n.revision_id = any($5::uuid[])) as total,
       (select count(*)::int from change c join chunk o on o.index_id = $2 and o.revision_id = c.before
        where not exists (select from chunk n
          where n.index_id = $2 and n.revision_id = c.after and n.text_hash = o.text_hash)) as removed
     from paid`,
    [
      knowledgeBaseId,
      indexId,
      changes.map(({ documentId }) => documentId),
      changes.map(({ before }) => before),
      changes.map(({ after }) => after),
    ],
  );
  if (!row) throw new Error('a version has no receipt');
  const { total, embedded, removed, tokens, exact, parsing, chunking, embedding } = row;
  return {
    chunks: { total, reused: total - embedded, embedded, removed },
    tokensEmbedded: tokens,
    tokenCount: exact ? 'exact' : 'estimate',
    ms: { parsing, chunking, embedding },
  };
}

type Counted = 'total' | 'embedded' | 'removed' | 'tokens';
