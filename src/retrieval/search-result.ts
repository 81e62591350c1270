import type { Passage } from '../knowledge/chunks.js';
import { showId } from '../platform/ids.js';
import type { ArrangedRow } from './arrange.js';
import type { Neighbours } from './neighbours.js';

/** One passage that the caller may see, with its place in the stored text of its revision. */
export interface SearchResult extends Omit<Passage, 'ordinal'> {
  document: {
    id: string;
    externalId: string | null;
    title: string;
    sourceUrl: string | null;
    sourceUpdatedAt: Date | null;
    metadata: Record<string, unknown>;
  };
  revision: string;
  /** Where asked for: the text of the passages beside this one. Citations quote the passage's own text only. */
  before?: string;
  after?: string;
  score: number;
  /**
   * What was found of the passage. By the legs: BM25 of the passage, of its whole document and over character grams, how
   * well the document's title and metadata fit, the cosine, and the share of the question's weight that the passage holds;
   * null: not among that leg's best. By the steps after them: the share of quoted phrases and identifiers it holds
   * (null: the question has none), how new it is (null: not asked for), the reranker's score (null: not asked), how many
   * near-duplicates it stands for, and how many further passages of its document were held back.
   */
  signals: {
    keyword: number | null;
    document: number | null;
    characters: number | null;
    context: number | null;
    semantic: number | null;
    coverage: number | null;
    literal: number | null;
    recency: number | null;
    rerank: number | null;
    duplicates: number;
    heldBack: number;
  };
  /** Where asked for: what the score is the sum of. */
  explanation?: Explanation;
}

/** `parts` add up to the score. */
export interface Explanation {
  parts: Record<string, number>;
}

export function toResult(row: ArrangedRow, neighbours: Neighbours | null, explain: boolean): SearchResult {
  return {
    document: {
      id: showId('doc', row.document_id),
      externalId: row.external_id,
      title: row.title,
      sourceUrl: row.source_url,
      sourceUpdatedAt: row.source_updated_at,
      metadata: row.metadata,
    },
    revision: showId('rev', row.revision_id),
    section: row.section,
    page: row.page,
    start: row.start,
    end: row.end,
    lead: row.lead,
    text: row.text,
    ...neighbours,
    score: row.score,
    signals: {
      keyword: row.lexical?.passage ?? null,
      document: row.lexical?.document ?? null,
      characters: row.lexical?.grams ?? null,
      context: row.lexical?.context ?? null,
      semantic: row.semantic,
      coverage: row.lexical?.coverage ?? null,
      literal: row.literal,
      recency: row.recency,
      rerank: row.reranked,
      duplicates: row.repeats.length,
      heldBack: row.heldBack,
    },
    ...(explain ? { explanation: { parts: partsOf(row) } } : {}),
  };
}

/** What the lexical leg adds is shared out among its parts; a reranker's score stands in the place of both legs'. */
function partsOf({ score, adds, lexical, lifts, scoredBy }: ArrangedRow): Record<string, number> {
  if (scoredBy === 'reranker') return { rerank: score - lifts.literal - lifts.recency, ...lifts };
  const { words = 0, characters = 0, context = 0 } = lexical?.parts ?? {};
  const all = words + characters + context;
  if (all === 0) return { words: adds.keyword, semantic: adds.semantic, ...lifts };
  const share = (part: number) => (adds.keyword * part) / all;
  return {
    words: share(words),
    characters: share(characters),
    context: share(context),
    semantic: adds.semantic,
    ...lifts,
  };
}
