import { type PassageScores, type ScoredSegment, scorePassages } from './bm25.js';
import { type DocumentScores, scoreDocuments } from './document-scores.js';
import type { PermittedRun } from './permitted-passages.js';

// How much of a passage's score is its whole document's: what is asked is often spread over a text of a few chunks, of
// which the best holds only part; in a filing of hundreds it says little of where (measured: nDCG@10 of TIME, 4 chunks a
// document, .725 without, .737 at .35, .758 at .8, .760 at .85; filings, the right one among the first ten, 91 % without,
// 97 % from .2 to .35, 91 % at .5).
const documentWeight = (chunks: number): number => 0.2 + 0.65 * Math.min(1, 8 / chunks);

// What a title and metadata say of a long document lifts all its chunks, by at most this share of the best score
// (measured on filings: the right page among the first ten for 61 % of questions instead of 48 %, level from .3 to .8; nDCG@10
// of SciFact falls from there on).
export const contextWeight = 0.3;

/** A passage by its words. */
export interface LexicalHit {
  run: PermittedRun;
  ordinal: number;
  /** Its own BM25. */
  passage: number;
  /** The BM25 of its whole document. */
  document: number;
  /** Both, weighed. */
  score: number;
  /** The share, 0 to 1, of the question's weight (summed idf) that it holds. */
  coverage: number;
  /** How well, 0 to 1, title and metadata of its document fit the question among those of all. */
  context: number;
}

/** The passages of a segment that hold a term of the question, and what each is worth. */
interface Candidates {
  segment: ScoredSegment;
  passages: PassageScores;
  documents: DocumentScores;
  /** By touched passage: its score. */
  scores: Float64Array;
}

/**
 * The best passages by their own words, their document's words, and its title and metadata. Exact: every permitted passage
 * that holds a term of the question is scored.
 * @param queryCounts how often each term stands in the question
 * @returns the best `depth`, best first; equal ones in the order of revision and ordinal
 */
export function bestPassages(segments: ScoredSegment[], queryCounts: readonly number[], depth: number): LexicalHit[] {
  const passages = scorePassages(segments, queryCounts);
  const documents = scoreDocuments(segments, queryCounts);
  const candidates = segments.flatMap((segment, at) => {
    const [ofPassages, ofDocuments] = [passages[at], documents[at]];
    return ofPassages && ofDocuments ? [weigh(segment, ofPassages, ofDocuments)] : [];
  });
  const top = candidates.reduce((high, { scores }) => Math.max(high, highest(scores)), 0);
  const ranked = candidates.map((each) => ({ ...each, ranks: ranksOf(each, top * contextWeight) }));
  const least = leastOfBest(
    ranked.map(({ ranks }) => ranks),
    depth,
  );
  return ranked
    .flatMap((each) => hitsFrom(each, least))
    .sort(
      (one, other) =>
        other.rank - one.rank ||
        one.hit.run.revisionId.localeCompare(other.hit.run.revisionId) ||
        one.hit.ordinal - other.hit.ordinal,
    )
    .slice(0, depth)
    .map(({ hit }) => hit);
}

function highest(values: Float64Array): number {
  let high = 0;
  for (let at = 0; at < values.length; at++) high = Math.max(high, values[at] ?? 0);
  return high;
}

function weigh(segment: ScoredSegment, passages: PassageScores, documents: DocumentScores): Candidates {
  const { runs, runOf } = segment;
  const weights = Float64Array.from(runs, ({ chunks }) => documentWeight(chunks));
  const { touched } = passages;
  // Loops by hand here and below: half of all passages pass through, and a callback for each takes three times as long.
  const scores = new Float64Array(touched.length);
  for (let at = 0; at < touched.length; at++) {
    const number = touched[at] ?? 0;
    const run = runOf[number] ?? 0;
    const weight = weights[run] ?? 0;
    scores[at] = (1 - weight) * (passages.scores[number] ?? 0) + weight * (documents.words[run] ?? 0);
  }
  return { segment, passages, documents, scores };
}

/** @param lift what a full context adds to a score */
function ranksOf({ segment: { runOf }, passages, documents, scores }: Candidates, lift: number): Float64Array {
  const { touched } = passages;
  const { context } = documents;
  const ranks = new Float64Array(scores.length);
  for (let at = 0; at < ranks.length; at++) {
    ranks[at] = (scores[at] ?? 0) + lift * (context[runOf[touched[at] ?? 0] ?? 0] ?? 0);
  }
  return ranks;
}

/** The rank that the `depth`-th best has; -Infinity when there are not so many. */
function leastOfBest(lists: readonly Float64Array[], depth: number): number {
  if (depth === Infinity) return -Infinity;
  // A heap of the best so far, its least on top: most ranks are compared with that one alone.
  const heap = new Float64Array(depth).fill(-Infinity);
  for (const ranks of lists) {
    for (let at = 0; at < ranks.length; at++) {
      const rank = ranks[at] ?? 0;
      if (rank > (heap[0] ?? 0)) sink(heap, rank);
    }
  }
  return heap[0] ?? -Infinity;
}

/** Puts a value in the place of the least. */
function sink(heap: Float64Array, value: number): void {
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    if ((heap[child] ?? 0) >= value) break;
    heap[place] = heap[child] ?? 0;
    place = child;
  }
  heap[place] = value;
}

/** All that reach the least, which may be a few more than asked for when some are equal. */
function hitsFrom(
  { segment, passages, documents, scores, ranks }: Candidates & { ranks: Float64Array },
  least: number,
): { hit: LexicalHit; rank: number }[] {
  const found: { hit: LexicalHit; rank: number }[] = [];
  for (let at = 0; at < ranks.length; at++) {
    const rank = ranks[at] ?? 0;
    if (rank < least) continue;
    const number = passages.touched[at] ?? 0;
    const run = segment.runOf[number] ?? 0;
    const own = segment.runs[run];
    if (!own) continue;
    const hit = {
      run: own,
      ordinal: number - own.base,
      passage: passages.scores[number] ?? 0,
      document: documents.words[run] ?? 0,
      score: scores[at] ?? 0,
      coverage: passages.coverage[number] ?? 0,
      context: documents.context[run] ?? 0,
    };
    found.push({ hit, rank });
  }
  return found;
}
