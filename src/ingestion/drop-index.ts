import type { Indexes } from '../knowledge/indexes.js';
import type { Database, TenantScope } from '../platform/database.js';

/**
 * As SQL over `knowledge_index i` of a base `b`: no version that is kept stands in it, and uploads do not go to it. One that
 * is being built has no version yet and is wanted all the same.
 */
export const unused = `not i.building and i.id is distinct from b.index_id
  and not exists (select from version v where v.knowledge_base_id = i.knowledge_base_id and v.index_id = i.id and v.status <> 'retired')`;

/**
 * Drops the indexes of a base that nothing needs any more: after a base was built anew, all chunks and vectors of the old
 * build go at once.
 * @returns how many
 */
export async function dropUnused(
  database: Database,
  indexes: Indexes,
  scope: TenantScope,
  knowledgeBaseId: string,
): Promise<number> {
  const rows = await database.as(scope, (tx) =>
    tx.rows<{ id: number }>(
      `select i.id from knowledge_index i join knowledge_base b on b.id = i.knowledge_base_id where b.id = $1 and ${unused}`,
      [knowledgeBaseId],
    ),
  );
  for (const { id } of rows) await indexes.drop(scope, id);
  return rows.length;
}
