import { placeOf } from '../knowledge/terms.js';
import type { Transaction } from '../platform/database.js';
import { type AskedTerm, unite } from './asked-terms.js';
import { bestPassages, type LexicalHit } from './best-passages.js';
import type { AskedPassages } from './permitted-passages.js';
import type { PostingCache } from './posting-cache.js';

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
  const sizes = asked.map(({ variants }) => variants.length);
  const segments = passages.segments.map(({ runs, runOf }, at) => ({
    runs,
    runOf,
    heads: heads[at] ?? new Map(),
    lengths: postings[at]?.lengths ?? new Uint16Array(),
    postings: unite(postings[at]?.postings ?? [], sizes),
  }));
  return bestPassages(
    segments,
    asked.map(({ count }) => count),
    depth,
  );
}
