import type { Cause } from '../knowledge/next-version.js';
import { expireBlocked } from '../knowledge/syncs.js';
import type { TenantScope, Transaction } from '../platform/database.js';
import { readId } from '../platform/ids.js';

/**
 * In the caller's transaction, under the base's lock: a version that the gate had blocked is no longer kept, so that nobody
 * can force it any more. Its sync expires; the other revisions that waited in it are superseded, unless something else will
 * show them.
 */
export async function endBlocked(
  tx: Transaction,
  scope: TenantScope,
  knowledgeBaseId: string,
  number: number,
  cause: Cause,
): Promise<void> {
  if (cause.syncId !== undefined) return expireBlocked(tx, scope, readId('sync', cause.syncId), number);
  await tx.run(
    `update revision r set status = 'superseded' from version_change c
     where c.knowledge_base_id = $1 and c.number = $2 and r.id = c.after and r.status = 'staged' and r.sync_id is null
       and not exists (select from pending_change p where p.knowledge_base_id = $1 and p.revision_id = r.id)
       and not exists (
         select from version_change o join version v on v.knowledge_base_id = $1 and v.number = o.number
         where o.knowledge_base_id = $1 and o.document_id = c.document_id and o.after = r.id and v.status in ('building', 'blocked'))`,
    [knowledgeBaseId, number],
  );
}
