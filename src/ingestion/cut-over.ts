import { record } from '../events/outbox.js';
import { activateVersion, type LockedBase } from '../knowledge/next-version.js';
import { judgeReindex } from '../knowledge/reindexes.js';
import type { VersionStats } from '../knowledge/version-changes.js';
import { boundary } from '../platform/boundary.js';
import type { TenantScope, Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { differencesOf } from './index-differences.js';

interface Built {
  id: string;
  indexId: number;
  chunks: number;
  embedded: number;
  tokens: number;
}

/**
 * Makes a version that shows the new index, in the caller's transaction: no row of a chunk changes for it, however many
 * there are. Documents and their revisions stay what they were. It is activated at once, or of a gated base once it is judged.
 * @returns its number; null while the new index does not show exactly what the active version shows, or nobody may build it
 * any more. What was staged a moment ago may be missing: publishing puts it back for the index that answers then.
 */
export async function cutOver(
  tx: Transaction,
  scope: TenantScope,
  base: LockedBase,
  reindexId: string,
  lease: string,
): Promise<number | null> {
  const built = await lockBuilt(tx, reindexId, lease);
  if (!built) return null;
  const builds = {
    knowledgeBaseId: base.id,
    activeVersion: base.active_version,
    activeIndex: base.index_id,
    newIndex: built.indexId,
  };
  const { rows } = await differencesOf(tx, builds, 100);
  if (rows.some(({ kind, active }) => active || kind !== 'missing')) return null;
  const number = await insertVersion(tx, scope, base, built);
  await boundary('reindex.swapping', base.id);
  if (base.gated) {
    await judgeReindex(tx, built.id, number);
    const data = { knowledgeBaseId: showId('kb', base.id), version: number };
    await record(tx, scope, { type: 'index.version.built', data });
  } else await activateVersion(tx, scope, base, number);
  return number;
}

function lockBuilt(tx: Transaction, id: string, lease: string): Promise<Built | null> {
  return tx.row<Built>(
    `select id, index_id as "indexId", chunks, embedded, tokens_embedded::int as tokens from reindex
     where id = $1 and lease_token = $2 and status = 'running' and index_id is not null for update`,
    [id, lease],
  );
}

async function insertVersion(tx: Transaction, scope: TenantScope, base: LockedBase, built: Built): Promise<number> {
  const number = base.last_version + 1;
  const { chunks: total, embedded, tokens } = built;
  await tx.run(
    `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats, receipt)
     values ($1, $2, $3, $4, $5, $6, 'building', $7, $8)`,
    [
      scope.tenantId,
      base.id,
      number,
      base.active_version,
      built.indexId,
      JSON.stringify({ kind: 'reindex', reindexId: showId('rix', built.id) }),
      JSON.stringify(await shownIn(tx, built.indexId)),
      JSON.stringify({ chunks: { total, reused: total - embedded, embedded, removed: 0 }, tokensEmbedded: tokens }),
    ],
  );
  await tx.run('update knowledge_index set building = false where id = $1', [built.indexId]);
  await tx.run('update knowledge_base set last_version = $2 where id = $1', [base.id, number]);
  return number;
}

async function shownIn(tx: Transaction, indexId: number): Promise<VersionStats> {
  const row = await tx.row<VersionStats>(
    `select count(distinct document_id)::int as documents, count(*)::int as chunks from chunk
     where index_id = ${Math.trunc(indexId)} and not isempty(visible)`,
  );
  return row ?? { documents: 0, chunks: 0 };
}
