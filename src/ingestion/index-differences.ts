import type { VersionStats } from '../knowledge/version-changes.js';
import type { Transaction } from '../platform/database.js';

/**
 * What a new index has otherwise than it should: a revision that is `missing` or not whole, one that is `excess`, one that
 * should be `shown` from the start and is not, or the other way round `hidden`.
 */
export interface Difference {
  kind: 'missing' | 'excess' | 'shown' | 'hidden';
  revisionId: string;
  documentId: string;
  /** The active version shows it; otherwise it waits to be shown. */
  active: boolean;
}

export interface Differences {
  /** How many revisions the new index should hold. */
  total: number;
  missing: number;
  /** What of the active version it holds. */
  shown: VersionStats;
  rows: Difference[];
}

/** What is served, and what is to take its place. */
export interface Builds {
  knowledgeBaseId: string;
  activeVersion: number;
  /** null: nothing was ever published. */
  activeIndex: number | null;
  newIndex: number;
}

interface DifferenceRow {
  total: number;
  missing: number;
  documents: number;
  chunks: number;
  kind: Difference['kind'] | null;
  revision_id: string;
  document_id: string;
  active: boolean;
}

/**
 * Compares what the new index holds with what it should: whatever the active version shows, shown from the start, and
 * whatever is staged, hidden. Missing ones come first, so that what they have in common with those that go is still there.
 * @param but revisions whose differences are not told of
 * @param limit how many rows at most
 */
export async function differencesOf(
  tx: Transaction,
  { knowledgeBaseId, activeVersion, activeIndex, newIndex }: Builds,
  { but, limit }: { but: readonly string[]; limit: number },
): Promise<Differences> {
  // Numbers are written out: only then does the planner leave the other indexes' partitions alone.
  const [from, to, version] = [activeIndex ?? 0, newIndex, activeVersion].map((number) => Math.trunc(number));
  const rows = await tx.rows<DifferenceRow>(
    `with wanted as (
       select c.revision_id as id, c.document_id, true as active from chunk c join document d on d.id = c.document_id
       where c.index_id = ${from} and c.ordinal = 0 and c.visible @> ${version} and d.deleted_at is null
       union all
       select r.id, r.document_id, false from revision r join document d on d.id = r.document_id
       where r.knowledge_base_id = $1 and r.status = 'staged' and d.deleted_at is null),
     there as (
       select c.revision_id as id, c.document_id, bool_or(not isempty(c.visible)) as some, bool_and(not isempty(c.visible)) as every
       from chunk c where c.index_id = ${to} group by 1, 2),
     differing as (
       select coalesce(w.id, t.id) as revision_id, coalesce(w.document_id, t.document_id) as document_id, coalesce(w.active, false) as active,
         case when w.id is null then 'excess' when t.id is null or s.revision_id is null then 'missing'
              when w.active and not t.every then 'shown' when not w.active and t.some then 'hidden' end as kind
       from wanted w full join there t on t.id = w.id left join segment_revision s on s.index_id = ${to} and s.revision_id = w.id)
     select n.*, h.*, f.* from
       (select (select count(*)::int from wanted) as total, (select count(*)::int from differing where kind = 'missing') as missing) n
       cross join (select count(*)::int as documents, coalesce(sum(s.chunks), 0)::int as chunks from wanted w
                   join segment_revision s on s.index_id = ${to} and s.revision_id = w.id where w.active) h
       left join (select * from differing where kind is not null and revision_id <> all($2::uuid[])
                  order by kind <> 'missing', not active, revision_id limit ${Math.trunc(limit)}) f on true`,
    [knowledgeBaseId, but],
  );
  return {
    total: rows[0]?.total ?? 0,
    missing: rows[0]?.missing ?? 0,
    shown: { documents: rows[0]?.documents ?? 0, chunks: rows[0]?.chunks ?? 0 },
    rows: rows.flatMap(({ kind, revision_id: revisionId, document_id: documentId, active }) =>
      kind === null ? [] : [{ kind, revisionId, documentId, active }],
    ),
  };
}
