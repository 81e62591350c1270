import type { TermPostings } from '../knowledge/posting-format.js';
import type { Head, PermittedRun } from './permitted-passages.js';

const k1 = 1.2;
const b = 0.75;

// A title says what a document is about: in a document of one chunk each of its terms counts as so many in the text
// (measured: +.0075 nDCG@10 over five titled collections, never below without). Its length does not count. In a document
// of n chunks each has an n-th of it: whole, it drowned what a page says in what all pages of the filing have in common.
export const titleWeight = 3;

/** What is scored of a segment: what is permitted of it, lengths by chunk number, and where each term of the question stands. */
export interface ScoredSegment {
  runs: readonly PermittedRun[];
  /** By chunk number: the place of its run, -1 for what is not permitted. */
  runOf: Int32Array;
  /** By the place of a run. */
  heads: ReadonlyMap<number, Head>;
  lengths: Uint16Array;
  postings: readonly (TermPostings | undefined)[];
}

/** The passages of a segment that hold a term of the question. */
export interface PassageScores {
  /** Their numbers. */
  touched: Int32Array;
  /** By chunk number: BM25. */
  scores: Float64Array;
  /** By chunk number: the share, 0 to 1, of the question's weight (summed idf) that the passage holds. */
  coverage: Float64Array;
}

/** How often a term stands in each chunk that holds it: the chunk numbers, and the counts beside them. */
interface Occurrences {
  numbers: ArrayLike<number>;
  counts: ArrayLike<number>;
  /** How many permitted chunks hold it (df): one that only has its part of a long document's title counts for that part. */
  holding: number;
}

/** idf = ln(1 + (N - df + .5) / (df + .5)) */
export const rarity = (all: number, holding: number): number => Math.log(1 + (all - holding + 0.5) / (holding + 0.5));

/** What a term that stands `count` times adds, before idf. @param relativeLength by the mean */
export const saturated = (count: number, relativeLength: number): number =>
  ((k1 + 1) * count) / (count + k1 * (1 - b + b * relativeLength));

/**
 * BM25 (Robertson and Zaragoza 2009, k1 1.2, b 0.75, query term frequency kept) of every passage that holds a term. N, df
 * and the mean length are those of the permitted chunks alone, so that what is hidden shows neither in a score nor in the
 * order.
 * @param queryCounts how often each term stands in the question
 * @returns by segment
 */
export function scorePassages(segments: ScoredSegment[], queryCounts: readonly number[]): PassageScores[] {
  const passages = sum(segments, ({ runs }) => runs.reduce((all, { chunks }) => all + chunks, 0));
  const words = sum(segments, (segment) => runLengths(segment).reduce((all, length) => all + length, 0));
  const mean = words / passages || 1;
  const found = segments.map((segment) => occurrences(segment, queryCounts.length));
  const idf = queryCounts.map((_, term) =>
    rarity(
      passages,
      found.reduce((all, terms) => all + (terms[term]?.holding ?? 0), 0),
    ),
  );
  return segments.map((segment, at) => score(segment, found[at] ?? [], queryCounts, idf, mean));
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((all, item) => all + of(item), 0);

// What is permitted stays the same object from question to question, and so do its lengths.
const knownLengths = new WeakMap<readonly PermittedRun[], Float64Array>();

/** Of each run, how many terms it has. */
export function runLengths({ runs, lengths }: ScoredSegment): Float64Array {
  let known = knownLengths.get(runs);
  if (!known) {
    known = Float64Array.from(runs, ({ base, chunks }) =>
      lengths.subarray(base, base + chunks).reduce((all, length) => all + length, 0),
    );
    knownLengths.set(runs, known);
  }
  return known;
}

/** By term, where it stands, titles of the permitted included. */
function occurrences({ runs, runOf, heads, postings }: ScoredSegment, terms: number): Occurrences[] {
  const titled = [...heads].flatMap(([place, { title }]) => {
    const run = runs[place];
    return run && title.some((count) => count > 0) ? [{ ...run, title }] : [];
  });
  const counted = new Float64Array(titled.length === 0 ? 0 : runOf.length);
  return Array.from({ length: terms }, (_, term) => {
    const { numbers, counts } = postings[term] ?? { numbers: new Int32Array(), counts: new Uint8Array() };
    if (titled.some(({ title }) => title[term])) return withTitles({ numbers, counts }, runOf, titled, term, counted);
    let holding = 0;
    for (let at = 0; at < numbers.length; at++) if ((runOf[numbers[at] ?? 0] ?? -1) >= 0) holding += 1;
    return { numbers, counts, holding };
  });
}

/** @param counted zeros, one a chunk of the segment; zeros again afterwards */
function withTitles(
  own: TermPostings,
  runOf: Int32Array,
  titled: (PermittedRun & Pick<Head, 'title'>)[],
  term: number,
  counted: Float64Array,
): Occurrences {
  const all = { numbers: [] as number[], counts: [] as number[], holding: 0 };
  own.numbers.forEach((number, at) => {
    if ((runOf[number] ?? -1) < 0) return;
    counted[number] = own.counts[at] ?? 0;
    all.holding += 1;
  });
  for (const { base, chunks, title } of titled) {
    const weight = ((title[term] ?? 0) * titleWeight) / chunks;
    if (weight === 0) continue;
    for (let number = base; number < base + chunks; number++) {
      all.numbers.push(number);
      all.counts.push((counted[number] ?? 0) + weight);
      if (counted[number] === 0) all.holding += Math.min(1, weight);
      counted[number] = -1; // taken: not to be added again below
    }
  }
  own.numbers.forEach((number, at) => {
    if ((counted[number] ?? 0) <= 0) return;
    all.numbers.push(number);
    all.counts.push(own.counts[at] ?? 0);
  });
  for (const number of all.numbers) counted[number] = 0;
  return all;
}

function score(
  { lengths, runOf }: ScoredSegment,
  found: Occurrences[],
  queryCounts: readonly number[],
  idf: number[],
  mean: number,
): PassageScores {
  const scores = new Float64Array(runOf.length);
  const coverage = new Float64Array(runOf.length);
  const total = idf.reduce((all, weight) => all + weight, 0);
  let touched = 0;
  found.forEach(({ numbers, counts }, term) => {
    const weight = idf[term] ?? 0;
    const factor = weight * (queryCounts[term] ?? 0);
    const share = weight / total;
    for (let at = 0; at < numbers.length; at++) {
      const number = numbers[at] ?? 0;
      if ((runOf[number] ?? -1) < 0) continue;
      const covered = coverage[number] ?? 0;
      if (covered === 0) touched += 1;
      scores[number] = (scores[number] ?? 0) + factor * saturated(counts[at] ?? 0, (lengths[number] ?? 0) / mean);
      coverage[number] = covered + share;
    }
  });
  return { touched: nonZero(coverage, touched), scores, coverage };
}

/** The places of `count` numbers that are not zero. */
function nonZero(values: Float64Array, count: number): Int32Array {
  const places = new Int32Array(count);
  let at = 0;
  for (let place = 0; at < count && place < values.length; place++) if (values[place] !== 0) places[at++] = place;
  return places;
}
