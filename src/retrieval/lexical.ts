import { frequencies, placeOf, terms } from '../knowledge/terms.js';
import type { Transaction } from '../platform/database.js';
import { bestPassages, type LexicalHit } from './best-passages.js';
import type { AskedPassages } from './permitted-passages.js';
import type { PostingCache } from './posting-cache.js';

// A question longer than this is cut: each term costs a lookup a segment.
const maxTerms = 32;

/** A term of a question: the forms that count as one, and how often it stands there. */
export interface AskedTerm {
  variants: string[];
  count: number;
}

/** The searchable words of a question. */
export function askedTerms(question: string): AskedTerm[] {
  return [...frequencies(terms(question))].slice(0, maxTerms).map(([term, count]) => ({ variants: [term], count }));
}

/**
 * BM25 over the posting lists, scored here over nothing but the passages that the version shows and the caller may see.
 * No text is read.
 * @returns the best `depth`
 */
export async function lexicalSearch(
  tx: Transaction,
  cache: PostingCache,
  indexId: number,
  { passages, heads }: AskedPassages,
  asked: readonly AskedTerm[],
  depth: number,
): Promise<LexicalHit[]> {
  const postings = await cache.load(
    tx,
    indexId,
    passages.segments.map(({ no }) => no),
    asked.flatMap(({ variants }) => variants.map(placeOf)),
  );
  const segments = passages.segments.map(({ runs, runOf }, at) => ({
    runs,
    runOf,
    heads: heads[at] ?? new Map(),
    lengths: postings[at]?.lengths ?? new Uint16Array(),
    postings: postings[at]?.postings ?? [],
  }));
  return bestPassages(
    segments,
    asked.map(({ count }) => count),
    depth,
  );
}
