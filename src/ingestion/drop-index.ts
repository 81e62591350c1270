import type { Indexes } from '../knowledge/indexes.js';
import type { Database, TenantScope, Transaction } from '../platform/database.js';

const batchSegments = 20;

/**
 * Drops the indexes of a base that versions stood in and none does any more that is kept: after a base was built anew,
 * all chunks and vectors of the old build go at once. One that is being built has no version yet and stays.
 * @returns how many
 */
export async function dropUnused(
  database: Database,
  indexes: Indexes,
  scope: TenantScope,
  knowledgeBaseId: string,
): Promise<number> {
  const unused = await database.as(scope, (tx) => unusedIn(tx, knowledgeBaseId));
  for (const id of unused) {
    while ((await database.as(scope, (tx) => removeSegments(tx, id))) === batchSegments);
    await indexes.dropPartitions(id);
    await database.as(scope, async (tx) => {
      await tx.run('update version set index_id = null where knowledge_base_id = $1 and index_id = $2', [
        knowledgeBaseId,
        id,
      ]);
      await tx.run('delete from knowledge_index where id = $1', [id]);
    });
  }
  return unused.length;
}

async function unusedIn(tx: Transaction, knowledgeBaseId: string): Promise<number[]> {
  const rows = await tx.rows<{ id: number }>(
    `select i.id from knowledge_index i where i.knowledge_base_id = $1
       and exists (select from version v where v.knowledge_base_id = $1 and v.index_id = i.id)
       and not exists (select from version v where v.knowledge_base_id = $1 and v.index_id = i.id and v.status <> 'retired')
       and exists (select from version v where v.knowledge_base_id = $1 and v.index_id <> i.id and v.status = 'active')`,
    [knowledgeBaseId],
  );
  return rows.map(({ id }) => id);
}

function removeSegments(tx: Transaction, indexId: number): Promise<number> {
  return tx.run(
    `delete from segment where index_id = $1 and no in (select no from segment where index_id = $1 limit ${batchSegments})`,
    [indexId],
  );
}
