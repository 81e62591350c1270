import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { notFound } from '../errors.js';
import { Database, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { readId, showId } from '../platform/ids.js';
import { type AccessDto, accessColumn } from './document-access.js';
import { openBase } from './knowledge-bases.js';

export type RevisionStatus =
  'queued' | 'parsing' | 'chunking' | 'embedding' | 'staged' | 'ready' | 'failed' | 'superseded';

/** A document with its newest revision that nothing has superseded, as every route reads it. */
export interface DocumentRow {
  id: string;
  external_id: string | null;
  title: string;
  title_given: boolean;
  access: AccessDto;
  metadata: Record<string, unknown>;
  source_url: string | null;
  source_updated_at: Date | null;
  created_at: Date;
  revision_id: string;
  number: number;
  content_hash: string;
  content_type: string | null;
  status: RevisionStatus;
  done: number;
  total: number;
  error_code: string | null;
  error_message: string | null;
  error_retryable: boolean | null;
  ready_at: Date | null;
  receipt: Record<string, unknown> | null;
  served_id: string | null;
  served_number: number | null;
}

/** The revision that answers in version `v` of index `i`: read off its chunks, so that a rollback need not rewrite it. */
const columns = `d.id, d.external_id, d.title, d.title_given, ${accessColumn} as access, d.metadata, d.source_url, d.source_updated_at,
  d.created_at, r.id as revision_id, r.number, r.content_hash, r.content_type, r.status, r.done, r.total,
  r.error_code, r.error_message, r.error_retryable, r.ready_at, r.receipt, s.id as served_id, s.number as served_number`;

const tables = `document d
  join knowledge_base b on b.id = d.knowledge_base_id
  join lateral (select * from revision r where r.id = coalesce(
      (select n.id from revision n where n.document_id = d.id and n.status <> 'superseded' order by n.number desc limit 1),
      (select n.id from revision n where n.document_id = d.id order by n.number desc limit 1))) r on true
  left join version v on v.knowledge_base_id = b.id and v.number = b.active_version
  left join lateral (select c.revision_id from chunk c where c.index_id = v.index_id and c.document_id = d.id
                     and c.visible @> v.number limit 1) c on true
  left join revision s on s.id = c.revision_id`;

/** What a route answers for a document. */
export function showDocument(row: DocumentRow) {
  return {
    id: showId('doc', row.id),
    externalId: row.external_id,
    title: row.title,
    status: row.status,
    progress: { stage: row.status, done: row.done, total: row.total },
    error:
      row.error_code === null
        ? null
        : { code: row.error_code, message: row.error_message, retryable: row.error_retryable },
    revision: { id: showId('rev', row.revision_id), number: row.number },
    activeRevision: row.served_id === null ? null : { id: showId('rev', row.served_id), number: row.served_number },
    contentType: row.content_type,
    access: row.access,
    metadata: row.metadata,
    sourceUrl: row.source_url,
    sourceUpdatedAt: row.source_updated_at,
    createdAt: row.created_at,
    readyAt: row.ready_at,
    receipt: row.receipt,
  };
}

/**
 * The document that a caller names, if they may see it.
 * @throws ApiError not_found
 */
export async function openDocument(
  tx: Transaction,
  principal: Principal,
  baseId: string,
  shownId: string,
): Promise<DocumentRow> {
  const parameters: unknown[] = [baseId, readId('doc', shownId)];
  const visible = visibleTo(principal, parameters);
  const row = await tx.row<DocumentRow>(
    `select ${columns} from ${tables} where d.knowledge_base_id = $1 and d.id = $2 and ${visible}`,
    parameters,
  );
  if (!row) throw notFound();
  return row;
}

/** The same by the caller's own id; null when there is none, or none for this caller. */
export async function findByExternalId(
  tx: Transaction,
  principal: Principal,
  baseId: string,
  externalId: string,
): Promise<DocumentRow | null> {
  const parameters: unknown[] = [baseId, externalId];
  const visible = visibleTo(principal, parameters);
  return tx.row<DocumentRow>(
    `select ${columns} from ${tables} where d.knowledge_base_id = $1 and d.external_id = $2 and ${visible}`,
    parameters,
  );
}

/**
 * One at a time submits or deletes what has this external id, until the transaction ends: two first submissions would both
 * insert, and one that finds its document unchanged would answer with one that is gone.
 */
export async function lockExternalId(tx: Transaction, baseId: string, externalId: string): Promise<void> {
  await tx.run('select pg_advisory_xact_lock_shared(hashtextextended($1, 2))', [baseId]);
  await tx.run('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`${baseId} ${externalId}`]);
}

/** The same for every external id of a base, for those who delete any number: a lock for each would fill the server's table. */
export async function lockExternalIds(tx: Transaction, baseId: string): Promise<void> {
  await tx.run('select pg_advisory_xact_lock(hashtextextended($1, 2))', [baseId]);
}

@Injectable()
export class Documents {
  constructor(private readonly database: Database) {}

  get(principal: Principal, base: string, id: string) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return showDocument(await openDocument(tx, principal, baseId, id));
    });
  }

  async list(
    principal: Principal,
    base: string,
    query: PageQuery & { externalId?: string; status?: string },
  ): Promise<Page<ReturnType<typeof showDocument>>> {
    const rows = await this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const parameters: unknown[] = [
        baseId,
        startBelow(query),
        query.limit + 1,
        query.externalId ?? null,
        query.status ?? null,
      ];
      const visible = visibleTo(principal, parameters);
      return tx.rows<DocumentRow>(
        `select ${columns} from ${tables}
         where d.knowledge_base_id = $1 and d.id < $2 and ($4::text is null or d.external_id = $4) and ($5::text is null or r.status = $5)
           and ${visible} order by d.id desc limit $3`,
        parameters,
      );
    });
    return page(rows, query, showDocument);
  }
}
