import type { TenantScope, Transaction } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import type { EventType } from './catalogue.js';

/** The NOTIFY channel that wakes the relay. */
export const outboxChannel = 'lectern_outbox';

export interface NewEvent {
  type: EventType;
  /** What it happened to, a UUID: its events are numbered 1, 2, 3, so that a receiver can drop late ones. */
  subjectId?: string;
  /** Thin: ids, numbers and codes; never text of a document. */
  data: Record<string, unknown>;
  requestId?: string | null;
}

/**
 * Writes down that something happened, in the transaction that makes it true: it is told if and only if that commits.
 * @returns the event's id
 */
export async function record(tx: Transaction, scope: TenantScope, event: NewEvent): Promise<string> {
  const id = newId();
  const sequence = event.subjectId === undefined ? null : await next(tx, scope, event.subjectId);
  await tx.run(
    `insert into event (id, tenant_id, type, subject_id, sequence, data, request_id) values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      id,
      scope.tenantId,
      event.type,
      event.subjectId ?? null,
      sequence,
      JSON.stringify(event.data),
      event.requestId ?? null,
    ],
  );
  await tx.run(`select pg_notify('${outboxChannel}', '')`);
  return id;
}

async function next(tx: Transaction, scope: TenantScope, subjectId: string): Promise<string> {
  const row = await tx.row<{ last: string }>(
    `insert into event_sequence (tenant_id, subject_id, last) values ($1, $2, 1)
     on conflict (tenant_id, subject_id) do update set last = event_sequence.last + 1 returning last`,
    [scope.tenantId, subjectId],
  );
  if (!row) throw new Error('the event sequence gave no number');
  return row.last;
}

/** As {@link record}, for any number of events with a different subject each. */
export async function recordAll(
  tx: Transaction,
  scope: TenantScope,
  events: readonly (NewEvent & { subjectId: string })[],
): Promise<void> {
  if (events.length === 0) return;
  const subjects = events.map((event) => event.subjectId);
  const rows = await tx.rows<{ subject_id: string; last: string }>(
    `insert into event_sequence (tenant_id, subject_id, last) select $1, id, 1 from unnest($2::uuid[]) id order by id
     on conflict (tenant_id, subject_id) do update set last = event_sequence.last + 1 returning subject_id, last`,
    [scope.tenantId, subjects],
  );
  const sequences = new Map(rows.map((row) => [row.subject_id, row.last]));
  await tx.run(
    `insert into event (id, tenant_id, type, subject_id, sequence, data, request_id)
     select e.id, $1, e.type, e.subject_id, e.sequence, e.data, e.request_id
     from unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::jsonb[], $7::text[]) e(id, type, subject_id, sequence, data, request_id)`,
    [
      scope.tenantId,
      events.map(() => newId()),
      events.map(({ type }) => type),
      subjects,
      subjects.map((subject) => sequences.get(subject)),
      events.map(({ data }) => JSON.stringify(data)),
      events.map(({ requestId }) => requestId ?? null),
    ],
  );
  await tx.run(`select pg_notify('${outboxChannel}', '')`);
}
