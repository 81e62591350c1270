import { Injectable } from '@nestjs/common';
import { endPart, recordRemoved } from '../knowledge/deletions.js';
import { uncount } from '../knowledge/version-changes.js';
import { BlobClaims } from '../platform/blob-claims.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { forgetReplies } from '../platform/http/idempotency.js';
import { showId } from '../platform/ids.js';
import { neededOf } from './orphans.js';

/**
 * Clears away what a deleted document left behind. It stopped answering when it was deleted; this removes its chunks,
 * vectors, stored text and bytes. The document's bare row stays, as the mark by which late CMS events are known, and so
 * does the receipt of what was removed.
 */
@Injectable()
export class Purging {
  constructor(
    private readonly database: Database,
    private readonly claims: BlobClaims,
  ) {}

  async purge(documentId: string): Promise<void> {
    const [owner] = await this.database.onceAsSystem<{ tenant_id: string }>(
      'select tenant_id from document where id = $1 and deleted_at is not null and purged_at is null',
      [documentId],
    );
    if (!owner) return;
    const scope = { tenantId: owner.tenant_id };
    // Bytes first: were the rows gone when the process dies, nothing would know of the bytes any more.
    let blobs = 0;
    for (const hash of await this.contents(scope, documentId)) {
      const removed = await this.claims.remove(scope, hash, async (tx) => (await neededOf(tx, [hash])).has(hash));
      if (removed === 'busy') return; // the sweep comes back to it
      if (removed === 'gone') blobs += 1;
    }
    await this.database.as(scope, async (tx) => {
      await uncount(tx, documentId);
      const removed = { blobs, ...(await deleteRows(tx, documentId)) };
      const emptied = await tx.run(
        `update document set purged_at = now(), title = '', title_terms = '{}/1000000000', metadata = '{}', metadata_terms = '{}/1000000000', source_url = null
         where id = $1 and purged_at is null`,
        [documentId],
      );
      if (emptied === 0) return; // another worker was quicker, and has counted
      await recordRemoved(tx, documentId, removed);
      await endPart(tx, documentId, 'rows');
    });
  }

  /**
   * Ends the deletions whose postings are gone: a merge has replaced every segment that held some. As long as one is
   * there, the sweep that merges finds it.
   */
  async endMerged(scope: TenantScope): Promise<void> {
    await this.database.as(scope, async (tx) => {
      const gone = await tx.rows<{ id: string }>(
        `select x.document_id as id from deletion x where x.completed_at is null and 'postings' = any(x.pending)
           and not 'rows' = any(x.pending) and not exists (select from segment s where s.no = any(x.segments))
         order by x.document_id for update skip locked`,
      );
      for (const { id } of gone) await endPart(tx, id, 'postings');
    });
  }

  private async contents(scope: TenantScope, documentId: string): Promise<string[]> {
    const sql = 'select distinct content_hash as hash from revision where document_id = $1';
    const rows = await this.database.as(scope, (tx) => tx.rows<{ hash: string }>(sql, [documentId]));
    return rows.map(({ hash }) => hash);
  }
}

/** @returns how many of each kind */
async function deleteRows(tx: Transaction, documentId: string): Promise<Record<string, number>> {
  const run = (sql: string) => tx.run(sql, [documentId]);
  const parses = await run('delete from parse using revision r where r.id = revision_id and r.document_id = $1');
  // Revisions before chunks: a worker that still reads one has lost its lease and stores no chunk behind our back.
  const revisions = await run('delete from revision where document_id = $1');
  await run('delete from pending_change where document_id = $1');
  await run(`update sync_document set details = '{}' where document_id = $1 and details <> '{}'`);
  return {
    parses,
    revisions,
    ...(await deleteChunks(tx, documentId)),
    grants: await run('delete from document_grant where document_id = $1'),
    changes: await run('delete from version_change where document_id = $1'),
    replies: await forgetReplies(tx, showId('doc', documentId)),
    hooks: await forgetHooks(tx, documentId),
  };
}

async function deleteChunks(tx: Transaction, documentId: string) {
  const removed = { chunks: 0, vectors: 0, postings: 0 };
  const indexes = await tx.rows<{ id: number }>(
    'select i.id from knowledge_index i join document d on d.knowledge_base_id = i.knowledge_base_id where d.id = $1',
    [documentId],
  );
  for (const { id } of indexes) {
    removed.vectors += await tx.run(
      'delete from chunk_vector v using chunk c where v.index_id = $1 and c.index_id = $1 and c.id = v.chunk_id and c.document_id = $2',
      [id, documentId],
    );
    removed.chunks += await tx.run('delete from chunk where index_id = $1 and document_id = $2', [id, documentId]);
    // Its postings go with the next merge of their segments, which a sweep sets going.
    const places = await tx.rows<{ segment: number; chunks: number }>(
      'delete from segment_revision where index_id = $1 and document_id = $2 returning segment_no as segment, chunks',
      [id, documentId],
    );
    removed.postings += places.reduce((sum, { chunks }) => sum + chunks, 0);
    await tx.run('update deletion set segments = segments || $2::int[] where document_id = $1', [
      documentId,
      places.map(({ segment }) => segment),
    ]);
  }
  return removed;
}

/** What a CMS sent of it until it was deleted: the bodies as they came, and what was read from them for the outbox. */
async function forgetHooks(tx: Transaction, documentId: string): Promise<number> {
  const rows = await tx.rows<{ event_id: string | null }>(
    `update cms_event e set body = '' from deletion x join cms_source s on s.knowledge_base_id = x.knowledge_base_id
     where x.document_id = $1 and e.source_id = s.id and e.article_id = x.external_id and e.received_at <= x.requested_at
       and e.body <> '' returning e.event_id`,
    [documentId],
  );
  await tx.run(
    `update event set data = data - 'title' - 'url' where id = any($1::uuid[]) and dispatched_at is not null`,
    [rows.flatMap((row) => row.event_id ?? [])],
  );
  return rows.length;
}
