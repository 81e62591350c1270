import { Injectable } from '@nestjs/common';
import { uncount } from '../knowledge/version-changes.js';
import { BlobClaims } from '../platform/blob-claims.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { neededOf } from './orphans.js';

/**
 * Clears away what a deleted document left behind. It stopped answering when it was deleted; this removes its chunks,
 * vectors, stored text and bytes. The document's bare row stays, as the mark by which late CMS events are known.
 */
@Injectable()
export class Purging {
  constructor(
    private readonly database: Database,
    private readonly claims: BlobClaims,
  ) {}

  async purge(documentId: string): Promise<void> {
    const owner = await this.database.asSystem((tx) =>
      tx.row<{ tenant_id: string }>(
        'select tenant_id from document where id = $1 and deleted_at is not null and purged_at is null',
        [documentId],
      ),
    );
    if (!owner) return;
    const scope = { tenantId: owner.tenant_id };
    // Bytes first: were the rows gone when the process dies, nothing would know of the bytes any more.
    for (const hash of await this.contents(scope, documentId))
      await this.claims.remove(scope, hash, async (tx) => (await neededOf(tx, [hash])).has(hash));
    await this.database.as(scope, async (tx) => {
      await uncount(tx, documentId);
      // Revisions before chunks: a worker that still reads one has lost its lease and stores no chunk behind our back.
      await tx.run('delete from revision where document_id = $1', [documentId]);
      await tx.run('delete from pending_change where document_id = $1', [documentId]);
      await deleteChunks(tx, documentId);
      await tx.run('delete from document_grant where document_id = $1', [documentId]);
      await tx.run(
        `update document set purged_at = now(), title = '', title_terms = '{}/1000000000', metadata = '{}', metadata_terms = '{}/1000000000', source_url = null where id = $1`,
        [documentId],
      );
    });
  }

  private async contents(scope: TenantScope, documentId: string): Promise<string[]> {
    const sql = 'select distinct content_hash as hash from revision where document_id = $1';
    const rows = await this.database.as(scope, (tx) => tx.rows<{ hash: string }>(sql, [documentId]));
    return rows.map(({ hash }) => hash);
  }
}

async function deleteChunks(tx: Transaction, documentId: string): Promise<void> {
  const indexes = await tx.rows<{ id: number }>(
    'select i.id from knowledge_index i join document d on d.knowledge_base_id = i.knowledge_base_id where d.id = $1',
    [documentId],
  );
  for (const { id } of indexes) {
    await tx.run(
      'delete from chunk_vector v using chunk c where v.index_id = $1 and c.index_id = $1 and c.id = v.chunk_id and c.document_id = $2',
      [id, documentId],
    );
    await tx.run('delete from chunk where index_id = $1 and document_id = $2', [id, documentId]);
    // Its postings go with the next merge of their segments, which a sweep sets going.
    await tx.run('delete from segment_revision where index_id = $1 and document_id = $2', [id, documentId]);
  }
}
