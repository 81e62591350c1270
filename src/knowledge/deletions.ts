import { Injectable } from '@nestjs/common';
import { type Principal, readsAll } from '../access/principal.js';
import { notFound } from '../errors.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { readId, showId } from '../platform/ids.js';

/** Who ended a document: a caller, its CMS, the sync that made it and came to nothing, its whole base, or the check. */
export interface DeletionReason {
  cause: 'request' | 'cms' | 'sync' | 'base' | 'check';
  /** The caller, as {@link Principal.caller}; absent: the service itself. */
  by?: string | null;
  /** When it was wished for; absent: now. */
  at?: Date;
}

/** What is cleared away by itself: the document's own rows and bytes; its postings, by a merge; answers that cite it. */
export type DeletionPart = 'rows' | 'postings' | 'answers';

interface DeletionRow {
  id: string;
  external_id: string | null;
  cause: string;
  requested_at: Date;
  completed_at: Date | null;
  removed: Record<string, number>;
}

const columns = 'x.document_id as id, x.external_id, x.cause, x.requested_at, x.completed_at, x.removed';

const showDeletion = (row: DeletionRow) => ({
  id: showId('doc', row.id),
  documentId: showId('doc', row.id),
  externalId: row.external_id,
  cause: row.cause,
  status: row.completed_at === null ? 'pending' : 'completed',
  requestedAt: row.requested_at,
  completedAt: row.completed_at,
  removed: row.removed,
});

/**
 * Whose receipt it is: of whoever deleted the document, and of those who see every document. Who else could see it is no
 * longer known, since that went with it. Whoever deleted the whole base need not have seen its documents.
 */
function visible(principal: Principal, parameters: unknown[]): string {
  parameters.push(readsAll(principal), principal.caller);
  return `($${parameters.length - 1}::boolean or (x.deleted_by = $${parameters.length} and x.cause <> 'base'))`;
}

/** Receipts of deletions: what of a document was removed, and when nothing was left. */
@Injectable()
export class Deletions {
  constructor(private readonly database: Database) {}

  /** Also of a base that is gone. @throws ApiError not_found */
  async get(principal: Principal, base: string, id: string) {
    const parameters: unknown[] = [readBase(principal, base), readId('doc', id)];
    const mine = visible(principal, parameters);
    const row = await this.database.as(principal, (tx) =>
      tx.row<DeletionRow>(
        `select ${columns} from deletion x where x.knowledge_base_id = $1 and x.document_id = $2 and ${mine}`,
        parameters,
      ),
    );
    if (!row) throw notFound();
    return showDeletion(row);
  }

  /** Newest document first. @throws ApiError not_found */
  async list(principal: Principal, base: string, query: PageQuery): Promise<Page<ReturnType<typeof showDeletion>>> {
    const id = readBase(principal, base);
    const parameters: unknown[] = [id, startBelow(query), query.limit + 1];
    const mine = visible(principal, parameters);
    return this.database.as(principal, async (tx) => {
      if (!(await tx.row('select 1 from knowledge_base where id = $1', [id]))) throw notFound();
      const rows = await tx.rows<DeletionRow>(
        `select ${columns} from deletion x where x.knowledge_base_id = $1 and x.document_id < $2 and ${mine}
         order by x.document_id desc limit $3`,
        parameters,
      );
      return page(rows, query, showDeletion);
    });
  }

  /** Documents of which this part is still there: oldest first. */
  waiting(part: DeletionPart, limit = 1000): Promise<{ documentId: string; tenantId: string }[]> {
    return this.database.onceAsSystem(
      `select document_id as "documentId", tenant_id as "tenantId" from deletion
         where completed_at is null and $1 = any(pending) order by requested_at limit $2`,
      [part, limit],
    );
  }

  /** Whose it is; null when there is no such deletion, or nothing of this part is left. */
  async scope(documentId: string, part: DeletionPart): Promise<TenantScope | null> {
    const [row] = await this.database.onceAsSystem<{ tenant_id: string }>(
      'select tenant_id from deletion where document_id = $1 and $2 = any(pending)',
      [documentId, part],
    );
    return row ? { tenantId: row.tenant_id } : null;
  }
}

/** The base in the path, which may be deleted as well. */
function readBase(principal: Principal, shownId: string): string {
  const id = readId('kb', shownId);
  if (principal.knowledgeBases !== null && !principal.knowledgeBases.includes(id)) throw notFound();
  return id;
}

/** In the transaction that deletes the document. */
export async function beginDeletion(tx: Transaction, documentId: string, { cause, by, at }: DeletionReason) {
  await tx.run(
    `insert into deletion (document_id, tenant_id, knowledge_base_id, external_id, cause, deleted_by, requested_at)
     select id, tenant_id, knowledge_base_id, external_id, $2, $3, coalesce($4, now()) from document where id = $1
     on conflict (document_id) do nothing`,
    [documentId, cause, by ?? null, at ?? null],
  );
}

/**
 * In the caller's transaction: these parts of a deleted document are there again, or still, and are to be cleared away. One
 * that was deleted before there were receipts has its receipt from now on.
 */
export async function reopenDeletion(tx: Transaction, documentId: string, parts: DeletionPart[]): Promise<void> {
  await tx.run(
    `insert into deletion as x (document_id, tenant_id, knowledge_base_id, external_id, cause, requested_at, pending)
     select id, tenant_id, knowledge_base_id, external_id, 'request', deleted_at, $2::text[]
     from document where id = $1 and deleted_at is not null
     on conflict (document_id) do update set completed_at = null,
       pending = (select array_agg(distinct part) from unnest(x.pending || excluded.pending) p (part))`,
    [documentId, parts],
  );
}

/** Writes down what was removed just now, in the transaction that removed it. */
export async function recordRemoved(tx: Transaction, documentId: string, removed: Record<string, number>) {
  await tx.run(
    `update deletion set removed = removed || (
       select coalesce(jsonb_object_agg(key, value::bigint + coalesce((removed->>key)::bigint, 0)), '{}') from jsonb_each_text($2))
     where document_id = $1`,
    [documentId, JSON.stringify(removed)],
  );
}

/** Nothing of this part is left. With the last one the deletion is complete. */
export async function endPart(tx: Transaction, documentId: string, part: DeletionPart): Promise<void> {
  await tx.run(
    `update deletion set pending = array_remove(pending, $2),
       completed_at = case when array_remove(pending, $2) = '{}' then clock_timestamp() end
     where document_id = $1 and $2 = any(pending)`,
    [documentId, part],
  );
}
