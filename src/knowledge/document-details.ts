import type { Principal } from '../access/principal.js';
import type { Transaction } from '../platform/database.js';
import { type AccessDto, sameAccess, writeAccess } from './document-access.js';
import type { DocumentRow } from './documents.js';
import { frequencies, terms, termVector } from './terms.js';

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
  if (details || wish.title !== undefined) {
    await tx.run(
      `update document set title = $2, title_given = title_given or $3, title_terms = $4, source_url = $5, source_updated_at = $6,
         metadata = $7, updated_at = now() where id = $1`,
      [
        document.id,
        title,
        wish.title !== undefined,
        termVector(frequencies(terms(title))),
        sourceUrl,
        sourceUpdatedAt,
        JSON.stringify(metadata),
      ],
    );
  }
  if (access && wish.access) await writeAccess(tx, principal.tenantId, document.id, wish.access);
  return details || access;
}

/** JSON with sorted keys: jsonb does not keep the order that was sent. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
