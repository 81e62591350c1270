import { Injectable } from '@nestjs/common';
import { record } from '../events/outbox.js';
import { type HeldDetails, writeDetails } from '../knowledge/document-details.js';
import { boundary } from '../platform/boundary.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';

interface Base {
  active_version: number;
  last_version: number;
  index_id: number | null;
}

interface Change {
  document_id: string;
  kind: 'publish' | 'unpublish';
  revision_id: string | null;
  index_id: number | null;
}

/**
 * Makes what is staged in a base visible as its next version: one transaction, in which chunks change their visibility,
 * the pointer moves, and the events are recorded. A reader sees the version before or the version after, nothing between.
 */
@Injectable()
export class Publishing {
  constructor(private readonly database: Database) {}

  /** Does nothing when nothing is pending: reminders may come more often than changes. */
  async publish(knowledgeBaseId: string, scope: TenantScope): Promise<void> {
    await this.database.as(scope, async (tx) => {
      const base = await lockBase(tx, knowledgeBaseId);
      if (!base) return;
      const changes = await takePending(tx, knowledgeBaseId);
      if (changes.length === 0) return;
      const number = base.last_version + 1;
      const indexId = changes.find((change) => change.index_id !== null)?.index_id ?? base.index_id;
      if (indexId !== null) {
        if (base.active_version !== base.last_version) await buildOn(tx, indexId, base.active_version, number);
        await showAndHide(tx, indexId, number, changes);
      }
      await boundary('publish.swapping', knowledgeBaseId);
      await activate(tx, scope, knowledgeBaseId, base, number, indexId, changes);
      await settle(tx, scope, knowledgeBaseId, number, changes);
    });
    await boundary('publish.committed', knowledgeBaseId);
  }
}

/**
 * Not against the key: a new document of the base only refers to it, and need not wait until the publish is done.
 *
 * Two statements on purpose: after waiting for another publish, a join would be checked again with the version that was
 * active before it, find nothing, and this publish would silently not happen.
 */
async function lockBase(tx: Transaction, id: string): Promise<Base | null> {
  const pointer = await tx.row<Omit<Base, 'index_id'>>(
    'select active_version, last_version from knowledge_base where id = $1 and deleted_at is null for no key update',
    [id],
  );
  if (!pointer) return null;
  // A version without an index shows nothing of the base's index, which is not the same as having none to hide.
  const index = await tx.row<{ id: number | null }>(
    `select coalesce(v.index_id, (select max(i.id) from knowledge_index i where i.knowledge_base_id = $1)) as id
     from version v where v.knowledge_base_id = $1 and v.number = $2`,
    [id, pointer.active_version],
  );
  return { ...pointer, index_id: index?.id ?? null };
}

/**
 * Takes the changes off the list; with them, the index each staged revision stands in. Rows are locked in the order in
 * which staging and deleting lock them, revisions before documents before changes, or each would wait for the other. What
 * was staged between the statements stays on the list: its own reminder is on its way.
 */
async function takePending(tx: Transaction, id: string): Promise<Change[]> {
  const revisions = await tx.rows<{ id: string }>(
    `select r.id from revision r join pending_change p on p.document_id = r.document_id
     where p.knowledge_base_id = $1 and r.status in ('staged', 'ready') order by r.id for no key update of r`,
    [id],
  );
  const documents = await tx.rows<{ id: string }>(
    `select d.id from document d join pending_change p on p.document_id = d.id
     where p.knowledge_base_id = $1 and d.deleted_at is null order by d.id for no key update of d`,
    [id],
  );
  return tx.rows<Change>(
    `with taken as (delete from pending_change where knowledge_base_id = $1 and document_id = any($2::uuid[])
         and (revision_id is null or revision_id = any($3::uuid[]))
       returning document_id, kind, revision_id)
     select t.*, (select i.id from knowledge_index i where i.knowledge_base_id = $1 and exists
       (select from chunk c where c.index_id = i.id and c.revision_id = t.revision_id) order by i.id desc limit 1) as index_id
     from taken t`,
    [id, documents.map((document) => document.id), revisions.map((revision) => revision.id)],
  );
}

/** After a rollback, the next version shows what the active one shows, not what the abandoned ones did. */
async function buildOn(tx: Transaction, indexId: number, active: number, number: number): Promise<void> {
  await tx.run(
    `update chunk set visible = visible + int4multirange(int4range($3, null)) where index_id = $1 and visible @> $2::int and not visible @> $3::int`,
    [indexId, active, number],
  );
  await tx.run(
    `update chunk set visible = visible - int4multirange(int4range($3, null)) where index_id = $1 and not visible @> $2::int and visible @> $3::int`,
    [indexId, active, number],
  );
}

async function showAndHide(tx: Transaction, indexId: number, number: number, changes: Change[]): Promise<void> {
  await tx.run(
    `update chunk set visible = visible - int4multirange(int4range($3, null)) where index_id = $1 and document_id = any($2::uuid[]) and visible @> $3::int`,
    [indexId, changes.map((change) => change.document_id), number],
  );
  await tx.run(
    `update chunk set visible = visible + int4multirange(int4range($4, null))
     where index_id = $1 and document_id = any($2::uuid[]) and revision_id = any($3::uuid[])`,
    [indexId, changes.map((change) => change.document_id), published(changes), number],
  );
}

// What a version shows is counted by revisions, whose chunks are all shown or none: to count chunks took 200 ms of 80,000.
async function activate(
  tx: Transaction,
  scope: TenantScope,
  id: string,
  base: Base,
  number: number,
  indexId: number | null,
  changes: Change[],
): Promise<void> {
  const unpublished = changes.filter((change) => change.kind === 'unpublish').length;
  const cause = {
    kind: unpublished === changes.length ? 'unpublish' : 'publish',
    published: changes.length - unpublished,
    unpublished,
  };
  await tx.run(`update version set status = 'ready' where knowledge_base_id = $1 and number = $2`, [
    id,
    base.active_version,
  ]);
  await tx.run(
    `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats, receipt, activated_at)
     select $1, $2, $3, $4, $5, $6, 'active',
       (select jsonb_build_object('documents', count(distinct s.document_id), 'chunks', coalesce(sum(s.chunks), 0))
        from segment_revision s cross join lateral (
          select 1 from chunk c where c.index_id = $5 and c.revision_id = s.revision_id and c.ordinal = 0 and c.visible @> $3::int offset 0) shown
        where s.index_id = $5),
       (select jsonb_build_object('chunks', jsonb_build_object(
            'total', coalesce(sum((r.receipt->'chunks'->>'total')::int), 0), 'reused', coalesce(sum((r.receipt->'chunks'->>'reused')::int), 0),
            'embedded', coalesce(sum((r.receipt->'chunks'->>'embedded')::int), 0), 'removed', coalesce(sum((r.receipt->'chunks'->>'removed')::int), 0)),
          'tokensEmbedded', coalesce(sum((r.receipt->>'tokensEmbedded')::int), 0))
        from revision r where r.id = any($7::uuid[])), now()`,
    [scope.tenantId, id, number, base.active_version, indexId, JSON.stringify(cause), published(changes)],
  );
  await tx.run('update knowledge_base set active_version = $2, last_version = $2 where id = $1', [id, number]);
  await record(tx, scope, {
    type: 'index.version.activated',
    subjectId: id,
    data: { knowledgeBaseId: showId('kb', id), version: number, previous: base.active_version },
  });
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
  changes: Change[],
): Promise<void> {
  const ready = await tx.rows<ReadyRow>(
    `update revision set status = 'ready', ready_at = now() where id = any($1::uuid[]) and status = 'staged'
     returning id, document_id, request_id, details`,
    [published(changes)],
  );
  await tx.run(
    `update revision r set status = 'superseded' from revision n
     where n.id = any($1::uuid[]) and r.document_id = n.document_id and r.number < n.number and r.status in ('ready', 'staged')`,
    [published(changes)],
  );
  const about = (documentId: string) => ({
    documentId: showId('doc', documentId),
    knowledgeBaseId: showId('kb', id),
    version: number,
  });
  for (const row of ready) {
    await writeDetails(tx, row.document_id, row.details);
    const data = { ...about(row.document_id), revisionId: showId('rev', row.id) };
    await record(tx, scope, { type: 'document.ready', subjectId: row.document_id, requestId: row.request_id, data });
  }
  for (const { document_id } of changes.filter((change) => change.kind === 'unpublish')) {
    await record(tx, scope, { type: 'document.unpublished', subjectId: document_id, data: about(document_id) });
  }
}

const published = (changes: Change[]): string[] => changes.flatMap((change) => change.revision_id ?? []);
