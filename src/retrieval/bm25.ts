import type { TermPostings } from '../knowledge/posting-format.js';

const k1 = 1.2;
const b = 0.75;

// A title says what a document is about: each of its terms counts as so many in the text (measured: +.0075 nDCG@10 over
// five titled collections, never below without). Its length does not count.
export const titleWeight = 3;

/** A run of chunks, by number, that the caller may see: a revision in a segment. */
export interface PermittedRun {
  revisionId: string;
  base: number;
  chunks: number;
  /** How often each term of the question stands in the document's title; null: none does. */
  title: readonly number[] | null;
}

/** What is scored of a segment: lengths by chunk number, and for each term of the question where it stands. */
export interface ScoredSegment {
  lengths: Uint16Array;
  runs: PermittedRun[];
  postings: (TermPostings | undefined)[];
}

/** A passage with its BM25 score and the share, 0 to 1, of the question's weight (summed idf) that it holds. */
export interface LexicalHit {
  revisionId: string;
  ordinal: number;
  score: number;
  coverage: number;
}

/** How often a term stands in each permitted chunk that holds it: the chunk numbers, and the counts beside them. */
interface Occurrences {
  numbers: number[];
  counts: number[];
}

/**
 * BM25 (Robertson and Zaragoza 2009, k1 1.2, b 0.75; idf = ln(1 + (N - df + .5) / (df + .5)), query term frequency kept).
 * Exact: every chunk that holds a term is scored. N, df and the mean length are those of the permitted chunks alone, so
 * that what is hidden shows neither in a score nor in the order.
 * @param queryCounts how often each term stands in the question
 * @returns the best `depth`, best first; equal ones in the order of revision and ordinal
 */
export function bm25(segments: ScoredSegment[], queryCounts: readonly number[], depth: number): LexicalHit[] {
  let passages = 0;
  let words = 0;
  for (const { lengths, runs } of segments) {
    for (const { base, chunks } of runs) {
      passages += chunks;
      for (let number = base; number < base + chunks; number++) words += lengths[number] ?? 0;
    }
  }
  if (passages === 0) return [];
  const mean = words / passages || 1;
  const found = segments.map((segment) => occurrences(segment, queryCounts.length));
  const idf = queryCounts.map((_, term) => {
    const df = found.reduce((sum, terms) => sum + (terms[term]?.numbers.length ?? 0), 0);
    return Math.log(1 + (passages - df + 0.5) / (df + 0.5));
  });
  const hits = segments.flatMap((segment, at) => score(segment, found[at] ?? [], queryCounts, idf, mean, depth));
  return hits.sort(byScore).slice(0, depth);
}

/** By term, where it stands in the chunks that the caller may see, titles included. */
function occurrences({ lengths, runs, postings }: ScoredSegment, terms: number): Occurrences[] {
  const permitted = new Uint8Array(lengths.length);
  for (const { base, chunks } of runs) permitted.fill(1, base, base + chunks);
  const titled = runs.filter(({ title }) => title !== null);
  const counted = new Float64Array(titled.length === 0 ? 0 : lengths.length);
  return Array.from({ length: terms }, (_, term) => {
    const found: Occurrences = { numbers: [], counts: [] };
    const own = postings[term];
    if (own) {
      for (let at = 0; at < own.numbers.length; at++) {
        const number = own.numbers[at] ?? 0;
        if (permitted[number] === 0) continue;
        found.numbers.push(number);
        found.counts.push(own.counts[at] ?? 0);
      }
    }
    return titled.some(({ title }) => title?.[term]) ? withTitles(found, titled, term, counted) : found;
  });
}

/** @param counted zeros, one a chunk of the segment; zeros again afterwards */
function withTitles(own: Occurrences, titled: PermittedRun[], term: number, counted: Float64Array): Occurrences {
  own.numbers.forEach((number, at) => (counted[number] = own.counts[at] ?? 0));
  const all: Occurrences = { numbers: [], counts: [] };
  for (const { base, chunks, title } of titled) {
    const weight = (title?.[term] ?? 0) * titleWeight;
    if (weight === 0) continue;
    for (let number = base; number < base + chunks; number++) {
      all.numbers.push(number);
      all.counts.push((counted[number] ?? 0) + weight);
      counted[number] = -1; // taken: not to be added again below
    }
  }
  own.numbers.forEach((number, at) => {
    if (counted[number] === -1) return;
    all.numbers.push(number);
    all.counts.push(own.counts[at] ?? 0);
  });
  for (const number of all.numbers) counted[number] = 0;
  return all;
}

/** The best of one segment. */
function score(
  { lengths, runs }: ScoredSegment,
  found: Occurrences[],
  queryCounts: readonly number[],
  idf: number[],
  mean: number,
  depth: number,
): LexicalHit[] {
  const scores = new Float64Array(lengths.length);
  const weights = new Float64Array(lengths.length);
  const touched: number[] = [];
  found.forEach(({ numbers, counts }, term) => {
    const weight = idf[term] ?? 0;
    const factor = weight * (queryCounts[term] ?? 0) * (k1 + 1);
    numbers.forEach((number, at) => {
      if (weights[number] === 0) touched.push(number);
      const count = counts[at] ?? 0;
      const norm = k1 * (1 - b + (b * (lengths[number] ?? 0)) / mean);
      scores[number] = (scores[number] ?? 0) + (factor * count) / (count + norm);
      weights[number] = (weights[number] ?? 0) + weight;
    });
  });
  const total = idf.reduce((sum, weight) => sum + weight, 0);
  return best(touched, scores, depth).map((number) => {
    const run = runs[lastAtOrBefore(runs, number)];
    return {
      revisionId: run?.revisionId ?? '',
      ordinal: number - (run?.base ?? 0),
      score: scores[number] ?? 0,
      coverage: (weights[number] ?? 0) / total,
    };
  });
}

/** The numbers with the highest scores: all that reach the `depth`-th, which may be more when some are equal. */
function best(touched: number[], scores: Float64Array, depth: number): number[] {
  if (touched.length <= depth) return touched;
  const ordered = Float64Array.from(touched, (number) => scores[number] ?? 0).sort();
  const least = ordered[ordered.length - depth] ?? 0;
  return touched.filter((number) => (scores[number] ?? 0) >= least);
}

/** Where, among runs by rising base, the one that holds this number stands. */
function lastAtOrBefore(runs: PermittedRun[], number: number): number {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((runs[middle]?.base ?? 0) <= number) low = middle;
    else high = middle - 1;
  }
  return low;
}

function byScore(one: LexicalHit, other: LexicalHit): number {
  return other.score - one.score || one.revisionId.localeCompare(other.revisionId) || one.ordinal - other.ordinal;
}
