import type { TermPostings } from '../knowledge/posting-format.js';

const k1 = 1.2;
const b = 0.75;

// A title says what a document is about: in a document of one chunk each of its terms counts as so many in the text
// (measured: +.0075 nDCG@10 over five titled collections, never below without). Its length does not count. In a document
// of n chunks each has an n-th of it: whole, it drowned what a page says in what all pages of the filing have in common.
export const titleWeight = 3;

// What a title and metadata say of a long document lifts all its chunks, by at most this share of the best score
// (measured on filings: the right page among the first ten for 61 % of questions instead of 48 %, level from .3 to .8).
export const contextWeight = 0.5;

// A question whose only word in any title is one of many titles' is no reason to lift: shares are of at least this idf.
const leastContext = 2;

/** A run of chunks, by number, that the caller may see: a revision in a segment. */
export interface PermittedRun {
  revisionId: string;
  base: number;
  chunks: number;
  /** How often each term of the question stands in the document's title and in its metadata; null: none does. */
  head: { title: readonly number[]; metadata: readonly number[] } | null;
}

/** What is scored of a segment: lengths by chunk number, and for each term of the question where it stands. */
export interface ScoredSegment {
  lengths: Uint16Array;
  runs: PermittedRun[];
  postings: (TermPostings | undefined)[];
}

/**
 * A passage with its BM25 score, the share of the question's weight (summed idf) that it holds, and how well title and
 * metadata of its document fit the question among those of all; shares are 0 to 1.
 */
export interface LexicalHit {
  revisionId: string;
  ordinal: number;
  score: number;
  coverage: number;
  context: number;
}

/** A segment's passages that hold a term of the question, by number. */
interface Scored {
  segment: ScoredSegment;
  touched: number[];
  scores: Float64Array;
  /** Summed idf of the terms held. */
  weights: Float64Array;
}

/** How often a term stands in each permitted chunk that holds it: the chunk numbers, and the counts beside them. */
interface Occurrences {
  numbers: number[];
  counts: number[];
  /** How many chunks hold it (df): one that only has its part of a long document's title counts for that part. */
  holding: number;
}

/**
 * BM25 (Robertson and Zaragoza 2009, k1 1.2, b 0.75; idf = ln(1 + (N - df + .5) / (df + .5)), query term frequency kept).
 * Exact: every chunk that holds a term is scored. N, df and the mean length are those of the permitted chunks alone, so
 * that what is hidden shows neither in a score nor in the order.
 * @param queryCounts how often each term stands in the question
 * @returns the best `depth` by score and context, best first; equal ones in the order of revision and ordinal
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
  const idf = queryCounts.map((_, term) =>
    rarity(
      passages,
      found.reduce((sum, terms) => sum + (terms[term]?.holding ?? 0), 0),
    ),
  );
  const scored = segments.map((segment, at) => score(segment, found[at] ?? [], queryCounts, idf, mean));
  const contextOf = contexts(segments, queryCounts);
  const top = scored.reduce(
    (high, { touched, scores }) => touched.reduce((most, n) => Math.max(most, scores[n] ?? 0), high),
    0,
  );
  const total = idf.reduce((sum, weight) => sum + weight, 0);
  return scored
    .flatMap((each) => best(each, contextOf, top * contextWeight, total, depth))
    .sort(byRank)
    .slice(0, depth)
    .map(({ hit }) => hit);
}

const rarity = (all: number, holding: number): number => Math.log(1 + (all - holding + 0.5) / (holding + 0.5));

function holds({ title, metadata }: NonNullable<PermittedRun['head']>, term: number): boolean {
  return (title[term] ?? 0) + (metadata[term] ?? 0) > 0;
}

/**
 * How well title and metadata fit the question: the share of the weight (idf among the documents) of those terms that
 * any title or metadata holds. Of a document of one chunk nothing: its title counts as text.
 */
function contexts(segments: ScoredSegment[], queryCounts: readonly number[]): (run: PermittedRun) => number {
  const documents = segments.reduce((sum, { runs }) => sum + runs.length, 0);
  const headed = segments.flatMap(({ runs }) => runs.flatMap(({ head }) => head ?? []));
  const weights = queryCounts.map((count, term) => {
    const holding = headed.filter((head) => holds(head, term)).length;
    return holding === 0 ? 0 : count * rarity(documents, holding);
  });
  const all = Math.max(
    leastContext,
    weights.reduce((sum, weight) => sum + weight, 0),
  );
  return ({ head, chunks }) => {
    if (!head) return 0;
    const held = weights.reduce((sum, weight, term) => sum + (holds(head, term) ? weight : 0), 0);
    return (1 - 1 / chunks) * (held / all);
  };
}

/** By term, where it stands in the chunks that the caller may see, titles included. */
function occurrences({ lengths, runs, postings }: ScoredSegment, terms: number): Occurrences[] {
  const permitted = new Uint8Array(lengths.length);
  for (const { base, chunks } of runs) permitted.fill(1, base, base + chunks);
  const titled = runs.filter(({ head }) => head?.title.some((count) => count > 0));
  const counted = new Float64Array(titled.length === 0 ? 0 : lengths.length);
  return Array.from({ length: terms }, (_, term) => {
    const found: Occurrences = { numbers: [], counts: [], holding: 0 };
    const own = postings[term];
    if (own) {
      for (let at = 0; at < own.numbers.length; at++) {
        const number = own.numbers[at] ?? 0;
        if (permitted[number] === 0) continue;
        found.numbers.push(number);
        found.counts.push(own.counts[at] ?? 0);
      }
      found.holding = found.numbers.length;
    }
    return titled.some(({ head }) => head?.title[term]) ? withTitles(found, titled, term, counted) : found;
  });
}

/** @param counted zeros, one a chunk of the segment; zeros again afterwards */
function withTitles(own: Occurrences, titled: PermittedRun[], term: number, counted: Float64Array): Occurrences {
  own.numbers.forEach((number, at) => (counted[number] = own.counts[at] ?? 0));
  const all: Occurrences = { numbers: [], counts: [], holding: own.holding };
  for (const { base, chunks, head } of titled) {
    const weight = ((head?.title[term] ?? 0) * titleWeight) / chunks;
    if (weight === 0) continue;
    for (let number = base; number < base + chunks; number++) {
      all.numbers.push(number);
      all.counts.push((counted[number] ?? 0) + weight);
      if (counted[number] === 0) all.holding += Math.min(1, weight);
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

function score(
  segment: ScoredSegment,
  found: Occurrences[],
  queryCounts: readonly number[],
  idf: number[],
  mean: number,
): Scored {
  const { lengths } = segment;
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
  return { segment, touched, scores, weights };
}

interface RankedHit {
  hit: LexicalHit;
  rank: number;
}

/**
 * The best of one segment: all that reach the `depth`-th, which may be more when some are equal.
 * @param lift what a full context adds to a score
 * @param total summed idf of the question
 */
function best(
  { segment: { runs, lengths }, touched, scores, weights }: Scored,
  contextOf: (run: PermittedRun) => number,
  lift: number,
  total: number,
  depth: number,
): RankedHit[] {
  const context = new Float64Array(lengths.length);
  for (const run of runs) if (run.head) context.fill(contextOf(run), run.base, run.base + run.chunks);
  const rank = (number: number) => (scores[number] ?? 0) + lift * (context[number] ?? 0);
  const least =
    touched.length <= depth ? -Infinity : (Float64Array.from(touched, rank).sort()[touched.length - depth] ?? 0);
  return touched
    .filter((number) => rank(number) >= least)
    .map((number) => {
      const run = runs[lastAtOrBefore(runs, number)];
      const hit = {
        revisionId: run?.revisionId ?? '',
        ordinal: number - (run?.base ?? 0),
        score: scores[number] ?? 0,
        coverage: (weights[number] ?? 0) / total,
        context: context[number] ?? 0,
      };
      return { hit, rank: rank(number) };
    });
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

function byRank(one: RankedHit, other: RankedHit): number {
  return (
    other.rank - one.rank ||
    one.hit.revisionId.localeCompare(other.hit.revisionId) ||
    one.hit.ordinal - other.hit.ordinal
  );
}
