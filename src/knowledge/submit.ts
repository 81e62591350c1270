import { record } from '../events/outbox.js';
import type { Principal } from '../access/principal.js';
import { notFound } from '../errors.js';
import type { Transaction } from '../platform/database.js';
import { newId, showId } from '../platform/ids.js';
import { type AccessDto, openToTenant, writeAccess } from './document-access.js';
import { changeDetails, type DocumentDetails, type HeldDetails, heldDetails } from './document-details.js';
import { type DocumentRow, findByExternalId, lockExternalId, openDocument, type RevisionStatus } from './documents.js';
import type { KnowledgeBase } from './knowledge-bases.js';
import { graceSeconds } from './lease-row.js';
import { nameInSync, openSync } from './syncs.js';
import { metadataTerms, titleTerms } from './document-terms.js';

/** A content that was stored as a blob, with what its sender says of it. Absent details stay as they are. */
export interface Submission extends DocumentDetails {
  externalId?: string;
  /** The open sync that it is part of: nothing but access changes until that commits. */
  syncId?: string;
  content: { hash: string; size: number; filename: string | null; declaredType: string | null };
  requestId: string | null;
}

export interface Submitted {
  document: DocumentRow;
  /** Nothing differed: no new revision was made, nothing was changed. */
  unchanged: boolean;
  /** A new revision was queued. */
  queued: boolean;
}

/**
 * Makes {document, revision, event} true in the caller's transaction: a new document, a new revision of the one with the
 * same external id, or nothing at all when the same bytes already answer or are on their way. Details that changed apply
 * at once, whatever becomes of the revision.
 * @throws ApiError not_found when the external id belongs to a document that this caller may not see, or there is no such
 *   sync; conflict when the sync is no longer open
 */
export async function submit(
  tx: Transaction,
  principal: Principal,
  base: KnowledgeBase,
  wish: Submission,
): Promise<Submitted> {
  if (wish.externalId !== undefined) await lockExternalId(tx, base.id, wish.externalId);
  const existing =
    wish.externalId === undefined ? null : await findByExternalId(tx, principal, base.id, wish.externalId);
  if (!existing && wish.externalId !== undefined) await refuseHidden(tx, base, wish.externalId);
  const syncId = wish.syncId === undefined ? null : await openSync(tx, base.id, wish.syncId);
  const id = existing?.id ?? (await insertDocument(tx, principal, base, wish));
  const queued = !existing || !(await alreadyComing(tx, existing, wish.content.hash, syncId));
  // Beside new content, details wait for it: until it answers, and if it fails, what answers keeps its own.
  const waits = existing !== null && (syncId !== null || (queued && existing.served_id !== null));
  const changed = existing
    ? await changeDetails(tx, principal, existing, waits ? { access: wish.access } : wish)
    : true;
  const details = waits ? await inherited(tx, existing, wish, syncId) : {};
  if (existing && !queued && syncId === null) await nameOutsideSyncs(tx, base, id);
  if (queued) await queueRevision(tx, principal, base, id, wish, { details, syncId });
  if (syncId !== null)
    await nameInSync(tx, principal, syncId, id, { made: !existing, details: queued ? {} : heldDetails(wish) });
  const document = await openDocument(
    tx,
    { ...principal, scopes: new Set([...principal.scopes, 'documents:read-all']) },
    base.id,
    showId('doc', id),
  );
  return { document, unchanged: !changed && !queued, queued };
}

/** Writing over a document without seeing it would hand its history to the writer. */
async function refuseHidden(tx: Transaction, base: KnowledgeBase, externalId: string): Promise<void> {
  const hidden = await tx.row(
    'select 1 from document where knowledge_base_id = $1 and external_id = $2 and deleted_at is null',
    [base.id, externalId],
  );
  if (hidden) throw notFound();
}

async function insertDocument(
  tx: Transaction,
  principal: Principal,
  base: KnowledgeBase,
  wish: Submission,
): Promise<string> {
  const id = newId();
  const title = wish.title ?? wish.content.filename ?? wish.externalId ?? 'Untitled';
  const access: AccessDto = wish.access ?? openToTenant;
  await tx.run(
    `insert into document (id, tenant_id, knowledge_base_id, external_id, title, title_given, title_terms, source_url, source_updated_at, metadata, metadata_terms, visibility)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      id,
      principal.tenantId,
      base.id,
      wish.externalId ?? null,
      title,
      wish.title !== undefined,
      titleTerms(title),
      wish.sourceUrl ?? null,
      wish.sourceUpdatedAt ?? null,
      JSON.stringify(wish.metadata ?? {}),
      metadataTerms(wish.metadata ?? {}),
      access.visibility,
    ],
  );
  await writeAccess(tx, principal.tenantId, id, access);
  return id;
}

/** Whether these bytes answer now or are being worked on, with nothing newer behind them; what another sync holds back may never come. */
async function alreadyComing(
  tx: Transaction,
  document: DocumentRow,
  hash: string,
  syncId: string | null,
): Promise<boolean> {
  const newest = await tx.row<{ id: string; content_hash: string; status: RevisionStatus }>(
    `select id, content_hash, status from revision
     where document_id = $1 and status <> 'superseded' and (sync_id is null or sync_id = $2) order by number desc limit 1`,
    [document.id, syncId],
  );
  if (newest?.content_hash !== hash || newest.status === 'failed') return false;
  if (newest.status === 'staged') return waitsForVersion(tx, newest.id);
  if (newest.status !== 'ready') return true;
  const withdrawn = await tx.row(`select 1 from pending_change where document_id = $1 and kind = 'unpublish'`, [
    document.id,
  ]);
  return document.served_id === newest.id && !withdrawn;
}

/** Whether something leads from a staged revision to a version. What a blocked one would have shown is sent anew: it may do better. */
async function waitsForVersion(tx: Transaction, revisionId: string): Promise<boolean> {
  const row = await tx.row(
    `select 1 from revision r where r.id = $1 and (
       exists (select from pending_change p where p.knowledge_base_id = r.knowledge_base_id and p.revision_id = r.id)
       or exists (select from sync s where s.id = r.sync_id and s.status in ('open', 'committing'))
       or exists (select from version_change c join version v on v.knowledge_base_id = c.knowledge_base_id and v.number = c.number
                  where c.document_id = r.document_id and c.after = r.id and v.status = 'building'))`,
    [revisionId],
  );
  return row !== null;
}

/** Makes it known to the syncs that are under way that these bytes came from outside, which is told by no revision. */
async function nameOutsideSyncs(tx: Transaction, base: KnowledgeBase, documentId: string): Promise<void> {
  await tx.run(
    `update document set sent_again_at = now() where id = $1
       and exists (select from sync s where s.knowledge_base_id = $2 and s.status in ('open', 'committing'))`,
    [documentId, base.id],
  );
}

/** The details given now, over those of a revision that this one overtakes. */
async function inherited(
  tx: Transaction,
  document: DocumentRow,
  wish: Submission,
  syncId: string | null,
): Promise<HeldDetails> {
  const overtaken = await tx.row<{ details: HeldDetails }>(
    `select details from revision where id = $1 and status not in ('ready', 'failed') and (sync_id is null or sync_id = $2)`,
    [document.revision_id, syncId],
  );
  return { ...overtaken?.details, ...heldDetails(wish) };
}

async function queueRevision(
  tx: Transaction,
  principal: Principal,
  base: KnowledgeBase,
  documentId: string,
  wish: Submission,
  { details, syncId }: { details: HeldDetails; syncId: string | null },
): Promise<void> {
  const numbered = await tx.row<{ number: number }>(
    'update document set last_revision = last_revision + 1, updated_at = now() where id = $1 returning last_revision as number',
    [documentId],
  );
  const id = newId();
  const { content } = wish;
  await tx.run(
    `insert into revision (id, tenant_id, document_id, knowledge_base_id, number, content_hash, byte_size, filename, declared_type,
       status, lease_expires_at, request_id, details, sync_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', now() + make_interval(secs => ${graceSeconds}), $10, $11, $12)`,
    [
      id,
      principal.tenantId,
      documentId,
      base.id,
      numbered?.number,
      content.hash,
      content.size,
      content.filename,
      content.declaredType,
      wish.requestId,
      JSON.stringify(details),
      syncId,
    ],
  );
  await record(tx, principal, {
    type: 'document.queued',
    subjectId: documentId,
    requestId: wish.requestId,
    data: {
      documentId: showId('doc', documentId),
      knowledgeBaseId: showId('kb', base.id),
      revisionId: showId('rev', id),
    },
  });
}
