import { type Principal, visibleTo } from '../access/principal.js';
import type { Transaction } from '../platform/database.js';
import { filterCondition } from './filter.js';
import { fuse, type Leg } from './fusion.js';
import type { LexicalLeg, LexicalPassage } from './lexical-leg.js';

/** The index a version stands in, and how to ask it. */
export interface RankingTarget {
  knowledgeBaseId: string;
  indexId: number;
  /** What its documents are in, as ISO 639-1 codes. */
  languages: readonly string[];
  version: number;
}

export interface RankingWish {
  query: string;
  /** The question's unit vector as a pgvector literal; null: no semantic leg. */
  vector: string | null;
  /** Whether the lexical leg takes part. */
  keyword: boolean;
  /** Weight of the semantic leg, 0 to 1. */
  alpha: number;
  filter: unknown;
  limit: number;
}

/** What a caller may search: the documents, as a condition over `document d`, and the chunks of one version. */
export interface Permitted {
  condition: string;
  parameters: readonly unknown[];
  /** Written out in statements, not bound: only then does the planner leave the other indexes' partitions alone. */
  indexId: number;
  languages: readonly string[];
  /** The version as SQL. */
  version: string;
}

/** A passage with its fused score and its place in each leg; null: not among that leg's best. */
export interface Ranked {
  id: string;
  score: number;
  lexical: LexicalPassage | null;
  semantic: number | null;
}

export interface RankedRow extends Ranked {
  chunk_id: string;
  document_id: string;
  external_id: string | null;
  title: string;
  source_url: string | null;
  source_updated_at: Date | null;
  metadata: Record<string, unknown>;
  fresh_at: Date;
  revision_id: string;
  section: string[];
  page: number | null;
  start_offset: number;
  end_offset: number;
  text: string;
}

// How deep the semantic leg is read before the two are joined.
const legDepth = 100;

/**
 * From question to passages. Who may see what is read live, and is the first thing every leg is given: BM25 and exact
 * cosine rank nothing else, and the text of the best leaves the database through a statement that asks once more.
 * @param tx a transaction on one snapshot
 */
export async function rank(
  tx: Transaction,
  lexical: LexicalLeg,
  principal: Principal,
  target: RankingTarget,
  wish: RankingWish,
): Promise<RankedRow[]> {
  const permitted = permittedTo(principal, target, wish.filter);
  const keyword = wish.keyword ? await lexical.search(tx, permitted, wish.query) : null;
  const semantic = wish.vector === null ? null : await nearest(tx, permitted, wish.vector);
  const best = fuse(keyword, semantic, wish.alpha).slice(0, wish.limit);
  return read(
    tx,
    permitted,
    best.map(({ id, score }) => ({
      id,
      score,
      lexical: keyword?.get(id) ?? null,
      semantic: semantic?.get(id)?.score ?? null,
    })),
  );
}

function permittedTo(principal: Principal, target: RankingTarget, filter: unknown): Permitted {
  const parameters: unknown[] = [target.knowledgeBaseId, target.version];
  const visible = visibleTo(principal, parameters);
  const matching = filter === undefined ? 'true' : filterCondition(filter, parameters);
  return {
    condition: `d.knowledge_base_id = $1 and ${visible} and ${matching}`,
    parameters,
    indexId: Math.trunc(target.indexId),
    languages: target.languages,
    version: '$2::int',
  };
}

/** The semantic leg: exact cosine over every chunk that is permitted. */
async function nearest(tx: Transaction, permitted: Permitted, vector: string): Promise<Leg> {
  const parameters = [...permitted.parameters];
  const question = `$${parameters.push(vector)}::vector`;
  // Materialized: nothing keeps statistics of the tables on the embedded engine, and left to itself the planner went
  // through the vectors once a document.
  const rows = await tx.rows<{ id: string; score: number }>(
    `with permitted as materialized (select d.id from document d where ${permitted.condition}),
     passage as materialized (
       select c.id from chunk c join permitted p on p.id = c.document_id
       where c.index_id = ${permitted.indexId} and c.visible @> ${permitted.version}
     )
     select v.chunk_id as id, 1 - (v.embedding <=> ${question}) as score from chunk_vector v
     where v.index_id = ${permitted.indexId} and v.chunk_id in (select id from passage)
     order by v.embedding <=> ${question}, v.chunk_id limit ${legDepth}`,
    parameters,
  );
  return new Map(rows.map(({ id, score }) => [id, { score }]));
}

/** The text of the best, in their order. */
async function read(tx: Transaction, permitted: Permitted, best: Ranked[]): Promise<RankedRow[]> {
  if (best.length === 0) return [];
  const parameters = [...permitted.parameters];
  const ids = `$${parameters.push(best.map(({ id }) => id))}::uuid[]`;
  const rows = await tx.rows<Omit<RankedRow, keyof Ranked>>(
    `select c.id as chunk_id, d.id as document_id, d.external_id, d.title, d.source_url,
       d.source_updated_at, d.metadata, coalesce(d.source_updated_at, d.updated_at) as fresh_at,
       c.revision_id, c.section, c.page, c.start_offset, c.end_offset, c.text
     from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.id = any(${ids}) and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  const found = new Map(rows.map((row) => [row.chunk_id, row]));
  return best.flatMap((ranked) => {
    const row = found.get(ranked.id);
    return row ? [{ ...row, ...ranked }] : [];
  });
}
