import type { Principal } from '../access/principal.js';
import type { Transaction } from '../platform/database.js';
import { type AccessDto, sameAccess, writeAccess } from './document-access.js';
import type { DocumentRow } from './documents.js';
import { readDetails } from './document-terms.js';

/** What is said of a document and can change without its content changing. */
export interface DocumentDetails {
  title?: string;
  sourceUrl?: string;
  sourceUpdatedAt?: string;
  metadata?: Record<string, unknown>;
  access?: AccessDto;
}

/**
 * Applies the details that are given and differ, at once: no new revision, no chunk touched, nothing embedded. The title
 * is ranked from the document's own row for that reason.
 * @returns whether anything differed
 */
export async function changeDetails(
  tx: Transaction,
  principal: Principal,
  document: DocumentRow,
  wish: DocumentDetails,
): Promise<boolean> {
  const title = wish.title ?? document.title;
  const sourceUrl = wish.sourceUrl ?? document.source_url;
  const sourceUpdatedAt =
    wish.sourceUpdatedAt === undefined ? document.source_updated_at : new Date(wish.sourceUpdatedAt);
  const metadata = wish.metadata ?? document.metadata;
  const details =
    title !== document.title ||
    sourceUrl !== document.source_url ||
    sourceUpdatedAt?.getTime() !== document.source_updated_at?.getTime() ||
    canonical(metadata) !== canonical(document.metadata);
  const access = wish.access !== undefined && !sameAccess(wish.access, document.access);
  const held = heldDetails(wish);
  // What is said now is newer than what a revision on its way brings along. Revisions before their document, as staging
  // and publishing lock them too.
  await tx.run(
    `update revision set details = details - $2::text[] where document_id = $1 and details <> '{}' and status not in ('ready', 'failed')`,
    [document.id, Object.keys(held)],
  );
  if (details || wish.title !== undefined) await writeDetails(tx, document.id, held);
  if (access && wish.access) await writeAccess(tx, principal.tenantId, document.id, wish.access);
  return details || access;
}

/** The details that wait for their revision: all but access, which always holds at once. */
export interface HeldDetails extends Omit<DocumentDetails, 'access'> {
  /** A title that stands in the text: taken where nobody has given one. */
  foundTitle?: string;
}

/** Those of the details that are given and can wait. */
export function heldDetails({ title, sourceUrl, sourceUpdatedAt, metadata }: DocumentDetails): HeldDetails {
  const given = Object.entries({ title, sourceUrl, sourceUpdatedAt, metadata }).filter(
    ([, value]) => value !== undefined,
  );
  return Object.fromEntries(given);
}

/** Says these things of a document; what is absent stays. */
export async function writeDetails(tx: Transaction, documentId: string, details: HeldDetails): Promise<void> {
  const { title, sourceUrl, sourceUpdatedAt, metadata, foundTitle } = details;
  await tx.run(
    `update document set title = coalesce($2, case when not title_given then $6 end, title), title_given = title_given or $2 is not null,
       source_url = coalesce($3, source_url), source_updated_at = coalesce($4::timestamptz, source_updated_at),
       metadata = coalesce($5::jsonb, metadata), updated_at = now() where id = $1`,
    [
      documentId,
      title ?? null,
      sourceUrl ?? null,
      sourceUpdatedAt ?? null,
      metadata === undefined ? null : JSON.stringify(metadata),
      foundTitle ?? null,
    ],
  );
  if (title !== undefined || metadata !== undefined || foundTitle !== undefined) await readDetails(tx, documentId);
}

/** JSON with sorted keys: jsonb does not keep the order that was sent. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
