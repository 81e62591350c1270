import { rarity, runLengths, saturated, type ScoredSegment, titleWeight } from './bm25.js';
import type { Head } from './permitted-passages.js';

// A question whose only word in any title is one of many titles' is no reason to lift: shares are of at least this idf.
const leastContext = 2;

/** By run of a segment. */
export interface DocumentScores {
  /** BM25 of the whole document. */
  words: Float64Array;
  /** How well, 0 to 1, title and metadata fit the question among those of all permitted documents. */
  context: Float64Array;
}

/** How the documents, each as one text, fit the question. Statistics are those of the permitted documents alone. */
export function scoreDocuments(segments: ScoredSegment[], queryCounts: readonly number[]): DocumentScores[] {
  const lengths = segments.map(runLengths);
  const documents = lengths.reduce((sum, own) => sum + own.length, 0);
  const mean = lengths.reduce((sum, own) => own.reduce((all, length) => all + length, sum), 0) / documents || 1;
  const words = segments.map(({ runs }) => new Float64Array(runs.length));
  queryCounts.forEach((asked, term) => {
    const counts = segments.map((segment) => countsOf(segment, term));
    const holding = counts.reduce((sum, own) => own.reduce((held, count) => held + (count > 0 ? 1 : 0), sum), 0);
    const weight = asked * rarity(documents, holding);
    counts.forEach((own, segment) =>
      own.forEach((count, run) => {
        const sum = words[segment];
        if (count === 0 || !sum) return;
        sum[run] = (sum[run] ?? 0) + weight * saturated(count, (lengths[segment]?.[run] ?? 0) / mean);
      }),
    );
  });
  const context = contexts(segments, queryCounts, documents);
  return segments.map((_, at) => ({
    words: words[at] ?? new Float64Array(),
    context: context[at] ?? new Float64Array(),
  }));
}

/** Of each run, how often the term stands in it, its title counted as in a short text. */
function countsOf({ runs, runOf, heads, postings }: ScoredSegment, term: number): Float64Array {
  const counts = new Float64Array(runs.length);
  for (const [place, { title }] of heads) counts[place] = (title[term] ?? 0) * titleWeight;
  const own = postings[term];
  if (!own) return counts;
  for (let at = 0; at < own.numbers.length; at++) {
    const run = runOf[own.numbers[at] ?? 0] ?? -1;
    if (run >= 0) counts[run] = (counts[run] ?? 0) + (own.counts[at] ?? 0);
  }
  return counts;
}

/**
 * The share that title and metadata hold of the weight (idf among the documents) of those terms that any title or
 * metadata holds. Of a document of one chunk nothing: its title counts as text.
 */
function contexts(segments: ScoredSegment[], queryCounts: readonly number[], documents: number): Float64Array[] {
  const headed = segments.flatMap(({ heads }) => [...heads.values()]);
  const weights = queryCounts.map((count, term) => {
    const holding = headed.filter((head) => holds(head, term)).length;
    return holding === 0 ? 0 : count * rarity(documents, holding);
  });
  const all = Math.max(
    leastContext,
    weights.reduce((sum, weight) => sum + weight, 0),
  );
  return segments.map(({ runs, heads }) => {
    const shares = new Float64Array(runs.length);
    for (const [place, head] of heads) {
      const held = weights.reduce((sum, weight, term) => sum + (holds(head, term) ? weight : 0), 0);
      shares[place] = (1 - 1 / (runs[place]?.chunks ?? 1)) * (held / all);
    }
    return shares;
  });
}

function holds({ title, metadata }: Head, term: number): boolean {
  return (title[term] ?? 0) + (metadata[term] ?? 0) > 0;
}
