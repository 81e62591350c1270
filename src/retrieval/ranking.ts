import { type Passage, passageColumns } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import { type AskedTerm, askedTerms } from './asked-terms.js';
import { fuse, type Fused } from './fusion.js';
import type { LexicalLeg, LexicalPassage } from './lexical-leg.js';
import type { Permitted } from './permitted.js';
import type { AskedPassages, PermittedReader } from './permitted-passages.js';
import { nearest, type QuestionVector } from './vector-leg.js';

export interface RankingWish {
  query: string;
  /** Null: no semantic leg. */
  vector: QuestionVector | null;
  /** Whether the lexical leg takes part. */
  keyword: boolean;
  /** Weight of the semantic leg, 0 to 1. */
  alpha: number;
  /** How many of the best are read. */
  depth: number;
}

/** A passage with its fused score and what each leg found of it; null: not among that leg's best. */
export interface Ranked extends Fused {
  lexical: LexicalPassage | null;
  semantic: number | null;
}

export interface RankedRow extends Ranked, Passage {
  chunk_id: string;
  document_id: string;
  external_id: string | null;
  title: string;
  source_url: string | null;
  source_updated_at: Date | null;
  metadata: Record<string, unknown>;
  fresh_at: Date;
  revision_id: string;
}

/** The best passages as rows, and everything the legs found, best first. */
export interface Ranking {
  asked: readonly AskedTerm[];
  what: AskedPassages;
  rows: RankedRow[];
  fused: Fused[];
}

/** What ranking is done with. */
export interface Legs {
  passages: PermittedReader;
  lexical: LexicalLeg;
}

/**
 * From question to passages. Who may see what is read live, and is the first thing every leg is given: BM25 and exact
 * cosine rank nothing else, and the text of the best leaves the database through a statement that asks once more.
 * @param tx a transaction on one snapshot
 */
export async function rank(
  tx: Transaction,
  { passages, lexical }: Legs,
  permitted: Permitted,
  wish: RankingWish,
): Promise<Ranking> {
  const { asked, what } = await readAsked(tx, passages, permitted, permitted.languages, wish);
  const keyword = asked.length === 0 ? null : await lexical.search(tx, permitted, what, wish.query, asked);
  const semantic = wish.vector === null ? null : await nearest(tx, permitted, what.passages, wish.vector, keyword);
  const fused = fuse(keyword, semantic, wish.alpha);
  const best = fused.slice(0, wish.depth).map((each) => ({
    ...each,
    lexical: keyword?.get(each.id) ?? null,
    semantic: semantic?.get(each.id)?.score ?? null,
  }));
  return { asked, what, rows: await read(tx, permitted, best), fused };
}

/**
 * What is asked for, and what the caller may see. A question is read in the languages of these passages alone: that there
 * are hidden ones in others must not show. Mostly they are those of the index, and one statement does.
 */
async function readAsked(
  tx: Transaction,
  passages: PermittedReader,
  permitted: Permitted,
  languages: readonly string[],
  { keyword, query }: Pick<RankingWish, 'keyword' | 'query'>,
): Promise<{ asked: AskedTerm[]; what: AskedPassages }> {
  const asked = keyword ? askedTerms(query, languages) : [];
  const variants = asked.map((each) => each.variants);
  const what = await passages.read(tx, permitted, variants);
  const own = keyword ? askedTerms(query, what.passages.languages).map((each) => each.variants) : [];
  if (JSON.stringify(own) === JSON.stringify(variants)) return { asked, what };
  return readAsked(tx, passages, permitted, what.passages.languages, { keyword, query });
}

/** The text of the best, in their order. */
async function read(tx: Transaction, permitted: Permitted, best: Ranked[]): Promise<RankedRow[]> {
  if (best.length === 0) return [];
  const parameters = [...permitted.parameters];
  const ids = `$${parameters.push(best.map(({ id }) => id))}::uuid[]`;
  const rows = await tx.rows<Omit<RankedRow, keyof Ranked>>(
    `select c.id as chunk_id, d.id as document_id, d.external_id, d.title, d.source_url,
       d.source_updated_at, d.metadata, coalesce(d.source_updated_at, d.updated_at) as fresh_at,
       c.revision_id, ${passageColumns}
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
