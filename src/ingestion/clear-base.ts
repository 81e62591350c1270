import { Injectable } from '@nestjs/common';
import { record } from '../events/outbox.js';
import { deleteDocument } from '../knowledge/document-changes.js';
import { Indexes } from '../knowledge/indexes.js';
import { Database, type TenantScope } from '../platform/database.js';
import { showId } from '../platform/ids.js';

// Each transaction holds its documents for a matter of milliseconds.
const batch = 25;

/** As SQL over `knowledge_index i`: nothing of its documents is left in it. One that was being built goes by itself. */
const cleared = `not i.building
  and not exists (select from document d where d.knowledge_base_id = i.knowledge_base_id and d.purged_at is null)`;

interface DeletedBase extends TenantScope {
  id: string;
  deleted_by: string | null;
  deleted_at: Date;
}

/** Ends what a deleted base holds: each document as if it were deleted by itself, its open syncs, and its indexes at last. */
@Injectable()
export class BaseClearing {
  constructor(
    private readonly database: Database,
    private readonly indexes: Indexes,
  ) {}

  /** Deleted bases of which something is still there. What was on its way into one when it was deleted may come late. */
  due(): Promise<{ knowledgeBaseId: string }[]> {
    return this.database.onceAsSystem(
      `select b.id as "knowledgeBaseId" from knowledge_base b where b.deleted_at is not null
           and (exists (select from document d where d.knowledge_base_id = b.id and d.deleted_at is null)
             or exists (select from sync s where s.knowledge_base_id = b.id and s.status in ('open', 'committing', 'blocked'))
             or exists (select from knowledge_index i where i.knowledge_base_id = b.id and ${cleared})) limit 1000`,
    );
  }

  /** Does nothing to a base that is not deleted. */
  async clear(id: string): Promise<void> {
    const base = await this.open(id);
    if (!base) return;
    while ((await this.deleteSome(base)) === batch);
    await this.endRest(base);
    for (const index of await this.clearedIndexes(base)) await this.indexes.drop(base, index);
  }

  private async open(id: string): Promise<DeletedBase | null> {
    const [owner] = await this.database.onceAsSystem<{ tenant_id: string }>(
      'select tenant_id from knowledge_base where id = $1 and deleted_at is not null',
      [id],
    );
    if (!owner) return null;
    return this.database.as({ tenantId: owner.tenant_id }, (tx) =>
      tx.row<DeletedBase>(
        'select id, tenant_id as "tenantId", deleted_by, deleted_at from knowledge_base where id = $1',
        [id],
      ),
    );
  }

  /** @returns how many documents */
  private deleteSome(base: DeletedBase): Promise<number> {
    return this.database.as(base, async (tx) => {
      const documents = await tx.rows<{ id: string }>(
        'select id from document where knowledge_base_id = $1 and deleted_at is null order by id limit $2',
        [base.id, batch],
      );
      for (const { id } of documents)
        await deleteDocument(tx, base, base.id, id, { cause: 'base', by: base.deleted_by, at: base.deleted_at });
      return documents.length;
    });
  }

  private async clearedIndexes(base: DeletedBase): Promise<number[]> {
    const rows = await this.database.as(base, (tx) =>
      tx.rows<{ id: number }>(`select i.id from knowledge_index i where i.knowledge_base_id = $1 and ${cleared}`, [
        base.id,
      ]),
    );
    return rows.map(({ id }) => id);
  }

  private endRest(base: DeletedBase): Promise<void> {
    return this.database.as(base, async (tx) => {
      const ended = await tx.rows<{ id: string }>(
        `update sync set status = 'aborted', ended_at = now()
         where knowledge_base_id = $1 and status in ('open', 'committing', 'blocked') returning id`,
        [base.id],
      );
      // What is to be found may be told in the words of a document.
      await tx.run('delete from golden_question where knowledge_base_id = $1', [base.id]);
      for (const { id } of ended)
        await record(tx, base, {
          type: 'sync.failed',
          subjectId: id,
          data: {
            syncId: showId('sync', id),
            knowledgeBaseId: showId('kb', base.id),
            reason: 'knowledge_base_deleted',
          },
        });
    });
  }
}
