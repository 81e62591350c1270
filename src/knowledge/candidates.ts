import { ApiError } from '../errors.js';
import { record } from '../events/outbox.js';
import type { TenantScope, Transaction } from '../platform/database.js';
import { readId, showId } from '../platform/ids.js';
import type { GateReport } from './gate.js';
import { activateVersion, type Cause, type LockedBase, makeVersion } from './next-version.js';
import { blockReindex, takeUpReindex } from './reindexes.js';
import { blockSync } from './syncs.js';
import { changesOf, revisionsShown, type VersionChange } from './version-changes.js';

/** A version that the gate keeps back. */
interface Blocked {
  number: number;
  parent: number | null;
  cause: Cause;
}

/**
 * In the caller's transaction: a person knows better than the gate. It is activated as it was built, if nothing came
 * between. Otherwise what is left of its changes becomes a version of its own, on top of what answers now: to force one
 * must not take back what was published since. A reindex is brought up to what answers now, and answers then.
 * @returns the number of the version that answers now; of a reindex that goes on, of the one that was given up for it
 * @throws ApiError conflict when nothing is left of it, or its chunks are not in the index that answers now
 */
export async function activateBlocked(
  tx: Transaction,
  scope: TenantScope,
  base: LockedBase,
  { number, parent, cause }: Blocked,
): Promise<number> {
  if (base.waiting) throw new ApiError('conflict', 'Another version is being judged: see first what comes of it.');
  const follows = parent === base.active_version;
  if (cause.reindexId !== undefined && !follows) return goOn(tx, base, number, readId('rix', cause.reindexId));
  const changes = await changesOf(tx, base.id, number);
  const standing = await stillWanted(tx, base, await stillStaged(tx, changes));
  if (follows && standing.length === changes.length) {
    await activateVersion(tx, scope, base, number);
    return number;
  }
  await refuseElsewhere(tx, base, standing, parent);
  const wishes = standing.map(({ documentId, after }) => ({ document_id: documentId, revision_id: after }));
  const made = await makeVersion(tx, scope, { ...base, gated: false }, wishes, { ...cause, forced: number });
  if (!made) throw new ApiError('conflict', 'Nothing is left of what this version changed: newer changes replaced it.');
  await setCandidate(tx, base.id, number, 'retired');
  return made.number;
}

/** A reindex that was built on what no longer answers: it makes another version, which is not judged. */
async function goOn(tx: Transaction, base: LockedBase, number: number, reindexId: string): Promise<number> {
  if (!(await takeUpReindex(tx, reindexId, { forced: true })))
    throw new ApiError(
      'conflict',
      'Another reindex of this knowledge base is not done yet: wait for it, or cancel it.',
    );
  await setCandidate(tx, base.id, number, 'retired');
  return number;
}

/** Without the documents to be left out that show something else by now: that was published since. */
async function stillWanted(
  tx: Transaction,
  { index_id: indexId, active_version: active }: LockedBase,
  changes: readonly VersionChange[],
): Promise<VersionChange[]> {
  const leaving = changes.filter(({ after }) => after === null).map(({ documentId }) => documentId);
  const shown = await revisionsShown(tx, indexId ?? 0, active, leaving);
  return changes.filter(({ documentId, before, after }) => after !== null || shown.get(documentId) === before);
}

/** A version shows one index: what is not in that of the active one would be lost. @throws ApiError conflict */
async function refuseElsewhere(
  tx: Transaction,
  { index_id: indexId }: LockedBase,
  changes: readonly VersionChange[],
  parent: number | null,
): Promise<void> {
  const elsewhere = await tx.row(
    `select 1 from unnest($2::uuid[]) r (id)
     where not exists (select from segment_revision s where s.index_id = $1 and s.revision_id = r.id) limit 1`,
    [indexId, changes.flatMap(({ after }) => after ?? [])],
  );
  if (elsewhere)
    throw new ApiError(
      'conflict',
      `It was built for another index than the one that answers now: activate version ${parent} first, or send its documents again.`,
    );
}

/** In the caller's transaction: the gate keeps a candidate back. What it would have changed waits for a person. */
export async function blockVersion(
  tx: Transaction,
  scope: TenantScope,
  baseId: string,
  number: number,
  { before, after, worse, reason }: GateReport,
): Promise<void> {
  const { syncId, reindexId } = await setCandidate(tx, baseId, number, 'blocked');
  if (reindexId !== undefined) await blockReindex(tx, scope, readId('rix', reindexId));
  if (syncId !== undefined) await blockSync(tx, scope, readId('sync', syncId), number);
  await record(tx, scope, {
    type: 'index.version.blocked',
    subjectId: baseId,
    data: { knowledgeBaseId: showId('kb', baseId), version: number, reason, before, after, worse: worse.length },
  });
}

/** In the caller's transaction: a candidate is given up, and what it would have changed waits for the next one. */
export async function withdrawVersion(
  tx: Transaction,
  { tenantId }: TenantScope,
  baseId: string,
  number: number,
): Promise<void> {
  const { syncId, reindexId } = await setCandidate(tx, baseId, number, 'retired');
  if (reindexId !== undefined) await takeUpReindex(tx, readId('rix', reindexId));
  if (syncId !== undefined) return; // it is still committing, and makes another one
  const changes = await stillStaged(tx, await changesOf(tx, baseId, number));
  await tx.run(
    `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id)
     select $1, $2, w.document_id, case when w.revision_id is null then 'unpublish' else 'publish' end, w.revision_id
     from unnest($3::uuid[], $4::uuid[]) w(document_id, revision_id)
     on conflict (knowledge_base_id, document_id) do nothing`,
    [tenantId, baseId, changes.map(({ documentId }) => documentId), changes.map(({ after }) => after)],
  );
}

/** @returns what would have ended with it */
async function setCandidate(
  tx: Transaction,
  baseId: string,
  number: number,
  status: 'blocked' | 'retired',
): Promise<Pick<Cause, 'syncId' | 'reindexId'>> {
  const row = await tx.row<{ cause: Cause }>(
    'update version set status = $3 where knowledge_base_id = $1 and number = $2 returning cause',
    [baseId, number, status],
  );
  return row?.cause ?? {};
}

/** Those of the changes whose revision still waits to be shown, or whose document is to be left out. */
async function stillStaged(tx: Transaction, changes: readonly VersionChange[]): Promise<VersionChange[]> {
  const rows = await tx.rows<{ id: string }>(
    `select r.id from revision r join document d on d.id = r.document_id
     where r.id = any($1::uuid[]) and r.status = 'staged' and d.deleted_at is null order by r.id for no key update of r`,
    [changes.flatMap(({ after }) => after ?? [])],
  );
  const staged = new Set(rows.map(({ id }) => id));
  return changes.filter(({ after }) => after === null || staged.has(after));
}
