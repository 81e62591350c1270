import { record } from '../events/outbox.js';
import { activateVersion, insertVersion, type LockedBase } from '../knowledge/next-version.js';
import { type HeldReindex, judgeReindex } from '../knowledge/reindexes.js';
import type { VersionStats } from '../knowledge/version-changes.js';
import { boundary } from '../platform/boundary.js';
import type { Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';

/** What building it came to, of all that was ever built: also what waits to be shown, or went meanwhile. */
interface Built {
  /** A person has said that it answers, whatever the gate finds. */
  forced: boolean;
  indexId: number;
  chunks: number;
  embedded: number;
  tokens: number;
}

/**
 * Makes a version that shows the new index, in the caller's transaction: no row of a chunk changes for it, however many
 * there are. Documents and their revisions stay what they were. It is activated at once, or of a gated base once it is judged,
 * unless a person has forced it.
 * What was staged a moment ago may be missing: publishing puts it back for the index that answers then.
 * @param reindex held in this transaction
 * @param shown what the new index shows, which is what the active version does: compared while that one was active
 */
export async function cutOver(
  tx: Transaction,
  base: LockedBase,
  reindex: HeldReindex,
  shown: VersionStats,
): Promise<void> {
  const { forced, indexId, chunks, embedded, tokens } = await readBuilt(tx, reindex);
  const number = await insertVersion(tx, reindex, base, {
    indexId,
    cause: { kind: 'reindex', reindexId: showId('rix', reindex.id) },
    stats: shown,
    receipt: {
      chunks: { total: shown.chunks, reused: chunks - embedded, embedded, removed: 0 },
      tokensEmbedded: tokens,
    },
  });
  await tx.run('update knowledge_index set building = false where id = $1', [indexId]);
  await boundary('reindex.swapping', base.id);
  if (base.gated && !forced) {
    await judgeReindex(tx, reindex.id, number);
    const data = { knowledgeBaseId: showId('kb', base.id), version: number };
    await record(tx, reindex, { type: 'index.version.built', data });
  } else await activateVersion(tx, reindex, base, number);
}

async function readBuilt(tx: Transaction, { id }: HeldReindex): Promise<Built> {
  const built = await tx.row<Built>(
    `select forced, index_id as "indexId", chunks, embedded, tokens_embedded::int as tokens from reindex where id = $1 and index_id is not null`,
    [id],
  );
  if (!built) throw new Error('a reindex has no index to cut over to');
  return built;
}
