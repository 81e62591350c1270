import { Injectable } from '@nestjs/common';
import { BlobStore } from '../platform/blobs.js';
import { Database } from '../platform/database.js';

/**
 * Clears away what a deleted document left behind. It stopped answering when it was deleted; this removes its chunks,
 * vectors, stored text and bytes. The document's bare row stays, as the mark by which late CMS events are known.
 */
@Injectable()
export class Purging {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
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
    const orphans = await this.database.as(scope, async (tx) => {
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
      }
      const revisions = await tx.rows<{ content_hash: string }>(
        'delete from revision where document_id = $1 returning content_hash',
        [documentId],
      );
      await tx.run('delete from document_grant where document_id = $1', [documentId]);
      const hashes = [...new Set(revisions.map((row) => row.content_hash))];
      return tx.rows<{ hash: string }>(
        `select h as hash from unnest($1::text[]) h where not exists (select from revision r where r.tenant_id = $2 and r.content_hash = h)`,
        [hashes, scope.tenantId],
      );
    });
    for (const { hash } of orphans) await this.blobs.remove(scope.tenantId, hash);
    await this.database.as(scope, (tx) =>
      tx.run(
        `update document set purged_at = now(), title = '', title_terms = '{}/1000000000', metadata = '{}', source_url = null where id = $1`,
        [documentId],
      ),
    );
  }
}
