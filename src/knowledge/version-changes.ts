import type { TenantScope, Transaction } from '../platform/database.js';

/** A document of which one version shows another revision than its parent; null: none. */
export interface VersionChange {
  documentId: string;
  before: string | null;
  after: string | null;
}

/** How much a version shows. */
export interface VersionStats {
  documents: number;
  chunks: number;
}

/** Which revision of each document a version shows, where it shows one. */
export async function revisionsShown(
  tx: Transaction,
  indexId: number,
  version: number,
  documentIds: readonly string[],
): Promise<Map<string, string>> {
  const rows = await tx.rows<{ document_id: string; revision_id: string }>(
    `select c.document_id, c.revision_id from chunk c
     where c.index_id = $1 and c.document_id = any($3::uuid[]) and c.ordinal = 0 and c.visible @> $2::int`,
    [indexId, version, documentIds],
  );
  return new Map(rows.map((row) => [row.document_id, row.revision_id]));
}

export async function recordChanges(
  tx: Transaction,
  scope: TenantScope,
  knowledgeBaseId: string,
  number: number,
  changes: readonly VersionChange[],
): Promise<void> {
  await tx.run(
    `insert into version_change (tenant_id, knowledge_base_id, number, document_id, before, after)
     select $1, $2, $3, * from unnest($4::uuid[], $5::uuid[], $6::uuid[])`,
    [
      scope.tenantId,
      knowledgeBaseId,
      number,
      changes.map(({ documentId }) => documentId),
      changes.map(({ before }) => before),
      changes.map(({ after }) => after),
    ],
  );
}

/** What a version changed of its parent. */
export async function changesOf(tx: Transaction, knowledgeBaseId: string, number: number): Promise<VersionChange[]> {
  return tx.rows<VersionChange>(
    `select document_id as "documentId", before, after from version_change
     where knowledge_base_id = $1 and number = $2 order by document_id`,
    [knowledgeBaseId, number],
  );
}

/** How much a version shows that makes these changes to one that shows `parent`. */
export async function statsAfter(
  tx: Transaction,
  indexId: number,
  parent: VersionStats,
  changes: readonly VersionChange[],
): Promise<VersionStats> {
  const rows = await tx.rows<{ id: string; chunks: number }>(
    `select revision_id as id, count(*)::int as chunks from chunk where index_id = $1 and revision_id = any($2::uuid[]) group by 1`,
    [indexId, changes.flatMap(({ before, after }) => [before, after].filter((id) => id !== null))],
  );
  const chunks = new Map(rows.map((row) => [row.id, row.chunks]));
  return changes.reduce(
    (stats, { before, after }) => ({
      documents: stats.documents + (after === null ? 0 : 1) - (before === null ? 0 : 1),
      chunks: stats.chunks + (chunks.get(after ?? '') ?? 0) - (chunks.get(before ?? '') ?? 0),
    }),
    parent,
  );
}

/**
 * As SQL: a recursive query `walk (a, b, step)` from each pair of `start (a, b)`: the versions passed on the way from one
 * to the other, back to where their ways part and forward again. A parent has the lower number, so that whichever of the
 * two is higher goes back. It looks at the way and at nothing else, however long the history is.
 * @param base the parameter that is the base's id
 */
export const walk = (base: string, start: string): string => {
  const parent = (of: string) =>
    `(select v.parent from version v where v.knowledge_base_id = ${base} and v.number = w.${of})`;
  return `walk (a, b, step) as (
      select a, b, null::int from (${start}) start (a, b)
      union
      select case when w.a > w.b then ${parent('a')} else w.a end, case when w.b > w.a then ${parent('b')} else w.b end,
        greatest(w.a, w.b)
      from walk w where w.a <> w.b)`;
};

/**
 * The documents that any version changed on the way from one version to the other: of all others both show the same.
 * Some of these may be the same in both, too.
 */
export async function documentsBetween(
  tx: Transaction,
  knowledgeBaseId: string,
  one: number,
  other: number,
): Promise<string[]> {
  if (one === other) return [];
  const rows = await tx.rows<{ id: string }>(
    `with recursive ${walk('$1', 'select $2::int, $3::int')}
     select distinct c.document_id as id from version_change c
     where c.knowledge_base_id = $1 and c.number in (select step from walk)`,
    [knowledgeBaseId, one, other],
  );
  return rows.map(({ id }) => id);
}

/** Takes a document that is being cleared away out of what versions are said to show. */
export async function uncount(tx: Transaction, documentId: string): Promise<void> {
  // As publishing does, first of all: it counts on from what it finds.
  const base = await tx.row<{ id: string }>(
    `select id from knowledge_base where id = (select knowledge_base_id from document where id = $1) for no key update`,
    [documentId],
  );
  await tx.run(
    `update version v set stats = v.stats || jsonb_build_object(
         'documents', (v.stats->>'documents')::int - 1, 'chunks', (v.stats->>'chunks')::int - gone.chunks)
     from (
       select c.index_id, c.revision_id, count(*)::int as chunks, (array_agg(c.visible order by c.ordinal))[1] as visible
       from chunk c join knowledge_index i on i.id = c.index_id where i.knowledge_base_id = $1 and c.document_id = $2 group by 1, 2
     ) gone
     where v.knowledge_base_id = $1 and v.index_id = gone.index_id and gone.visible @> v.number`,
    [base?.id, documentId],
  );
}
