import { ApiError } from '../errors.js';
import { record, recordAll } from '../events/outbox.js';
import { type HeldDetails, writeDetails } from './document-details.js';
import { completeSync } from './syncs.js';
import {
  changesOf,
  documentsBetween,
  recordChanges,
  revisionsShown,
  statsAfter,
  type VersionChange,
  type VersionStats,
} from './version-changes.js';
import { pointTo } from './indexes.js';
import { completeReindex } from './reindexes.js';
import { receiptOf } from './version-receipt.js';
import { boundary } from '../platform/boundary.js';
import type { TenantScope, Transaction } from '../platform/database.js';
import { readId, showId } from '../platform/ids.js';

/** A base that nobody else publishes meanwhile: its pointer, and what its active version shows. */
export interface LockedBase {
  id: string;
  active_version: number;
  last_version: number;
  index_id: number | null;
  stats: VersionStats;
  /** Somebody has said what must be found in it: no version is activated that was not judged. */
  gated: boolean;
  /** A candidate is being judged; the next version would not know what it follows. */
  waiting: boolean;
}

/** What is to be shown of a document: a staged revision, or null for nothing any more. */
export interface Wish {
  document_id: string;
  revision_id: string | null;
}

/** Why a version is made. */
export interface Cause extends Record<string, unknown> {
  kind?: string;
  /** As it is shown: the sync that ends with this version. */
  syncId?: string;
  /** As it is shown: the reindex that ends with this version. */
  reindexId?: string;
}

/**
 * Makes the next version of a base, in the caller's transaction: its chunks change their visibility, in it alone. It is
 * activated at once, or of a gated base once it is judged.
 * @returns its number; null when it would show nothing else than the active one, and was not made
 */
export async function makeVersion(
  tx: Transaction,
  scope: TenantScope,
  base: LockedBase,
  wishes: readonly Wish[],
  cause: Cause = {},
): Promise<{ number: number; active: boolean } | null> {
  const number = base.last_version + 1;
  const indexId = base.index_id;
  if (indexId === null || wishes.length === 0) return null;
  const changes = await changesFor(tx, indexId, base.active_version, wishes);
  if (changes.length === 0) return null;
  if (base.active_version !== base.last_version) await buildOn(tx, indexId, base, number);
  await showAndHide(tx, indexId, number, changes);
  await boundary('publish.swapping', base.id);
  const stats = await statsAfter(tx, indexId, base.stats, changes);
  const receipt = await receiptOf(tx, base.id, indexId, changes);
  await insertVersion(tx, scope, base, { indexId, cause: causeOf(cause, changes), stats, receipt });
  await recordChanges(tx, scope, base.id, number, changes);
  if (base.gated) {
    const data = { knowledgeBaseId: showId('kb', base.id), version: number };
    await record(tx, scope, { type: 'index.version.built', data });
  } else await activateVersion(tx, scope, base, number);
  return { number, active: !base.gated };
}

/** Makes a version that was built the one that answers, and says so of its documents and of the sync that it ends. */
export async function activateVersion(
  tx: Transaction,
  scope: TenantScope,
  base: Pick<LockedBase, 'id' | 'active_version'>,
  number: number,
): Promise<void> {
  const { id } = base;
  await moveTo(tx, scope, base, number);
  const row = await tx.row<{ cause: Cause }>('select cause from version where knowledge_base_id = $1 and number = $2', [
    id,
    number,
  ]);
  await settle(tx, scope, id, number, await changesOf(tx, id, number));
  if (row?.cause.reindexId !== undefined) await completeReindex(tx, scope, readId('rix', row.cause.reindexId), number);
  if (row?.cause.syncId !== undefined) await completeSync(tx, scope, readId('sync', row.cause.syncId), number);
}

/**
 * In the caller's transaction, which holds the base: this version answers from its commit on, and nothing else changes.
 * @param because what the event tells beside the two versions
 * @returns its number
 * @throws ApiError conflict when it was given up
 */
export async function moveTo(
  tx: Transaction,
  scope: TenantScope,
  { id, active_version: previous }: Pick<LockedBase, 'id' | 'active_version'>,
  number: number,
  { requestId = null, because = {} }: { requestId?: string | null; because?: Record<string, unknown> } = {},
): Promise<number> {
  await tx.run(`update version set status = 'ready' where knowledge_base_id = $1 and number = $2`, [id, previous]);
  const back = number < previous;
  const moved = await tx.run(
    `update version set status = 'active', activated_at = now(), came_back = $3
     where knowledge_base_id = $1 and number = $2 and status in ('building', 'blocked', 'ready')`,
    [id, number, back],
  );
  if (moved === 0) throw new ApiError('conflict', 'This version was given up, and cannot answer any more.');
  await pointTo(tx, id, number);
  await record(tx, scope, {
    type: back ? 'index.version.rolled_back' : 'index.version.activated',
    subjectId: id,
    requestId,
    data: { knowledgeBaseId: showId('kb', id), version: number, previous, ...because },
  });
  return number;
}

/**
 * Not against the key: a new document of the base only refers to it, and need not wait until the publish is done.
 *
 * Two statements on purpose: after waiting for another publish, a join would be checked again with the version that was
 * active before it, find nothing, and this publish would silently not happen.
 */
export async function lockBase(tx: Transaction, id: string): Promise<LockedBase | null> {
  const pointer = await tx.row<Pick<LockedBase, 'active_version' | 'last_version'>>(
    'select active_version, last_version from knowledge_base where id = $1 and deleted_at is null for no key update',
    [id],
  );
  if (!pointer) return null;
  // A version without an index shows nothing of the base's index, which is not the same as having none to hide.
  const active = await tx.row<Omit<LockedBase, 'id' | 'active_version' | 'last_version'>>(
    `select coalesce(v.index_id, b.index_id) as index_id, v.stats,
       exists (select from golden_question g where g.knowledge_base_id = $1) as gated,
       exists (select from version w where w.knowledge_base_id = $1 and w.status = 'building') as waiting
     from version v join knowledge_base b on b.id = v.knowledge_base_id where v.knowledge_base_id = $1 and v.number = $2`,
    [id, pointer.active_version],
  );
  return active && { id, ...pointer, ...active };
}

/** What the next version will show other than the active one: to unpublish what is not shown changes nothing. */
async function changesFor(
  tx: Transaction,
  indexId: number,
  active: number,
  wishes: readonly Wish[],
): Promise<VersionChange[]> {
  const ids = wishes.map((wish) => wish.document_id);
  const shown = await revisionsShown(tx, indexId, active, ids);
  return wishes
    .map((wish) => ({
      documentId: wish.document_id,
      before: shown.get(wish.document_id) ?? null,
      after: wish.revision_id,
    }))
    .filter(({ before, after }) => before !== after);
}

/**
 * After a rollback, the next version shows what the active one shows, not what the abandoned ones did: it differs from the
 * last one of its index, which it would follow, by nothing but what changed between the two.
 */
async function buildOn(
  tx: Transaction,
  indexId: number,
  { id, active_version: active }: LockedBase,
  number: number,
): Promise<void> {
  const last = await tx.row<{ number: number | null }>(
    'select max(number) as number from version where knowledge_base_id = $1 and index_id = $2',
    [id, indexId],
  );
  const documents = await documentsBetween(tx, id, active, last?.number ?? active);
  await tx.run(
    `update chunk set visible = visible + int4multirange(int4range($3, null))
     where index_id = $1 and document_id = any($4::uuid[]) and visible @> $2::int and not visible @> $3::int`,
    [indexId, active, number, documents],
  );
  await tx.run(
    `update chunk set visible = visible - int4multirange(int4range($3, null))
     where index_id = $1 and document_id = any($4::uuid[]) and not visible @> $2::int and visible @> $3::int`,
    [indexId, active, number, documents],
  );
}

async function showAndHide(
  tx: Transaction,
  indexId: number,
  number: number,
  changes: readonly VersionChange[],
): Promise<void> {
  await tx.run(
    `update chunk set visible = visible - int4multirange(int4range($3, null)) where index_id = $1 and revision_id = any($2::uuid[])`,
    [indexId, changes.flatMap(({ before }) => before ?? []), number],
  );
  await tx.run(
    `update chunk set visible = visible + int4multirange(int4range($3, null)) where index_id = $1 and revision_id = any($2::uuid[])`,
    [indexId, published(changes), number],
  );
}

/** What a version is made of: the index that it shows, and what it and making it came to. */
interface Made {
  indexId: number;
  cause: Cause;
  stats: VersionStats;
  receipt: object;
}

/** In the caller's transaction: the next version of a base, which does not answer yet. @returns its number */
export async function insertVersion(
  tx: Transaction,
  { tenantId }: TenantScope,
  { id, active_version: parent, last_version: last }: LockedBase,
  { indexId, cause, stats, receipt }: Made,
): Promise<number> {
  const number = last + 1;
  await tx.run(
    `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats, receipt)
     values ($1, $2, $3, $4, $5, $6, 'building', $7, $8)`,
    [tenantId, id, number, parent, indexId, ...[cause, stats, receipt].map((part) => JSON.stringify(part))],
  );
  await tx.run('update knowledge_base set last_version = $2 where id = $1', [id, number]);
  return number;
}

/** What brought a version about, and how many documents it published and unpublished. */
function causeOf(cause: Cause, changes: readonly VersionChange[]): Cause {
  const unpublished = changes.filter(({ after }) => after === null).length;
  const kind = unpublished === changes.length ? 'unpublish' : 'publish';
  return { kind, ...cause, published: changes.length - unpublished, unpublished };
}

interface ReadyRow {
  id: string;
  document_id: string;
  request_id: string | null;
  details: HeldDetails;
}

/** The revisions that answer now are ready, those before them superseded; each document hears of it. */
async function settle(
  tx: Transaction,
  scope: TenantScope,
  id: string,
  number: number,
  changes: readonly VersionChange[],
): Promise<void> {
  const ready = await tx.rows<ReadyRow>(
    `update revision set status = 'ready', ready_at = now() where id = any($1::uuid[]) and status = 'staged'
     returning id, document_id, request_id, details`,
    [published(changes)],
  );
  await tx.run(
    `with superseded as (
       update revision r set status = 'superseded' from revision n
       where n.id = any($2::uuid[]) and r.document_id = n.document_id and r.number < n.number and r.status in ('ready', 'staged')
       returning r.id)
     delete from pending_change where knowledge_base_id = $1 and revision_id in (select id from superseded)`,
    [id, published(changes)],
  );
  for (const row of ready)
    if (Object.keys(row.details).length > 0) await writeDetails(tx, row.document_id, row.details);
  const about = (documentId: string) => ({
    documentId: showId('doc', documentId),
    knowledgeBaseId: showId('kb', id),
    version: number,
  });
  await recordAll(tx, scope, [
    ...ready.map((row) => ({
      type: 'document.ready' as const,
      subjectId: row.document_id,
      requestId: row.request_id,
      data: { ...about(row.document_id), revisionId: showId('rev', row.id) },
    })),
    ...changes
      .filter(({ after }) => after === null)
      .map(({ documentId }) => ({
        type: 'document.unpublished' as const,
        subjectId: documentId,
        data: about(documentId),
      })),
  ]);
}

const published = (changes: readonly VersionChange[]): string[] => changes.flatMap(({ after }) => after ?? []);
