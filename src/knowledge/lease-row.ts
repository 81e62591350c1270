import type { Pipeline } from './pipeline.js';
import type { Lane, LeasedRevision } from './revisions.js';

/** A revision with what its worker needs to know of it. */
export interface LeaseRow {
  id: string;
  tenant_id: string;
  document_id: string;
  knowledge_base_id: string;
  number: number;
  content_hash: string;
  filename: string | null;
  declared_type: string | null;
  title: string;
  title_given: boolean;
  pipeline: Pipeline;
  index_id: number | null;
  was_staged: boolean;
  leases: number;
  tries: number;
  request_id: string | null;
  lane: Lane;
}

/**
 * How long a queued revision is left to its reminder before the sweep, every 20 s, announces it again: what the queue lost
 * is back within a minute. Too short does no harm: a reminder that still waits is not made twice, and one that comes when
 * its revision is done finds nothing to do. It only spares the queue reminders of what it is about to be told anyway.
 */
export const graceSeconds = 30;

/** As SQL: what a {@link LeaseRow} is read from. */
export const leaseColumns = `r.id, r.tenant_id, r.document_id, r.knowledge_base_id, r.number, r.content_hash, r.filename, r.declared_type,
  d.title, d.title_given, b.pipeline, b.index_id, r.receipt is not null as was_staged, r.leases, r.tries, r.request_id, r.lane
  from revision r join document d on d.id = r.document_id join knowledge_base b on b.id = r.knowledge_base_id`;

export function toLeased(row: LeaseRow, lease: string): LeasedRevision {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    documentId: row.document_id,
    knowledgeBaseId: row.knowledge_base_id,
    number: row.number,
    contentHash: row.content_hash,
    filename: row.filename,
    declaredType: row.declared_type,
    title: row.title,
    titleGiven: row.title_given,
    pipeline: row.pipeline,
    indexId: row.index_id,
    wasStaged: row.was_staged,
    lease,
    requestId: row.request_id,
    lane: row.lane,
  };
}
