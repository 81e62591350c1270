import { type PassageScores, type PermittedRun, type ScoredSegment, scorePassages } from './bm25.js';
import { type DocumentScores, scoreDocuments } from './document-scores.js';

// How much of a passage's score is its whole document's: what is asked is often spread over a text of a few chunks, of
// which the best holds only part; in a filing of hundreds it says little of where (measured: nDCG@10 of TIME, 4 chunks a
// document, .725 without, .737 at .35, .750 at .8; filings, the right one among the first ten, 91 % without, 97 % from .2
// to .35, 91 % at .5).
const documentWeight = (chunks: number): number => 0.2 + 0.6 * Math.min(1, 8 / chunks);

// What a title and metadata say of a long document lifts all its chunks, by at most this share of the best score
// (measured on filings: the right page among the first ten for 61 % of questions instead of 48 %, level from .3 to .8).
export const contextWeight = 0.5;

/** A passage by its words. */
export interface LexicalHit {
  revisionId: string;
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
  /** By touched passage: the run it belongs to, and its score. */
  runs: Int32Array;
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
  const top = candidates.reduce((high, { scores }) => scores.reduce((most, score) => Math.max(most, score), high), 0);
  return candidates
    .flatMap((each) => best(each, top * contextWeight, depth))
    .sort(
      (one, other) =>
        other.rank - one.rank ||
        one.hit.revisionId.localeCompare(other.hit.revisionId) ||
        one.hit.ordinal - other.hit.ordinal,
    )
    .slice(0, depth)
    .map(({ hit }) => hit);
}

function weigh(segment: ScoredSegment, passages: PassageScores, documents: DocumentScores): Candidates {
  const runs = Int32Array.from(passages.touched, (number) => lastAtOrBefore(segment.runs, number));
  const scores = Float64Array.from(passages.touched, (number, at) => {
    const run = runs[at] ?? 0;
    const weight = documentWeight(segment.runs[run]?.chunks ?? 1);
    return (1 - weight) * (passages.scores[number] ?? 0) + weight * (documents.words[run] ?? 0);
  });
  return { segment, passages, documents, runs, scores };
}

/**
 * The best of one segment: all that reach the `depth`-th, which may be more when some are equal.
 * @param lift what a full context adds to a score
 */
function best(
  { segment, passages, documents, runs, scores }: Candidates,
  lift: number,
  depth: number,
): { hit: LexicalHit; rank: number }[] {
  const ranks = scores.map((score, at) => score + lift * (documents.context[runs[at] ?? 0] ?? 0));
  const least = ranks.length <= depth ? -Infinity : (ranks.toSorted()[ranks.length - depth] ?? 0);
  return passages.touched.flatMap((number, at) => {
    const rank = ranks[at] ?? 0;
    const run = runs[at] ?? 0;
    const own = segment.runs[run];
    if (rank < least || !own) return [];
    const hit = {
      revisionId: own.revisionId,
      ordinal: number - own.base,
      passage: passages.scores[number] ?? 0,
      document: documents.words[run] ?? 0,
      score: scores[at] ?? 0,
      coverage: passages.coverage[number] ?? 0,
      context: documents.context[run] ?? 0,
    };
    return [{ hit, rank }];
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
