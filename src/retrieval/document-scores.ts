import { type PermittedRun, rarity, saturated, type ScoredSegment, titleWeight } from './bm25.js';

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
  const lengths = segments.map(lengthsOf);
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

/** Of each run, how many terms it has. */
function lengthsOf({ lengths, runs }: ScoredSegment): Float64Array {
  return Float64Array.from(runs, ({ base, chunks }) =>
    lengths.subarray(base, base + chunks).reduce((sum, length) => sum + length, 0),
  );
}

/** Of each run, how often the term stands in it, its title counted as in a short text. */
function countsOf({ runs, postings }: ScoredSegment, term: number): Float64Array {
  const counts = Float64Array.from(runs, ({ head }) => (head?.title[term] ?? 0) * titleWeight);
  const own = postings[term];
  if (!own) return counts;
  let run = 0;
  for (let at = 0; at < own.numbers.length; at++) {
    const number = own.numbers[at] ?? 0;
    while (run < runs.length && endOf(runs[run]) <= number) run += 1;
    if (run === runs.length) break;
    if ((runs[run]?.base ?? 0) <= number) counts[run] = (counts[run] ?? 0) + (own.counts[at] ?? 0);
  }
  return counts;
}

const endOf = (run: PermittedRun | undefined): number => (run ? run.base + run.chunks : 0);

/**
 * The share that title and metadata hold of the weight (idf among the documents) of those terms that any title or
 * metadata holds. Of a document of one chunk nothing: its title counts as text.
 */
function contexts(segments: ScoredSegment[], queryCounts: readonly number[], documents: number): Float64Array[] {
  const headed = segments.flatMap(({ runs }) => runs.flatMap(({ head }) => head ?? []));
  const weights = queryCounts.map((count, term) => {
    const holding = headed.filter((head) => holds(head, term)).length;
    return holding === 0 ? 0 : count * rarity(documents, holding);
  });
  const all = Math.max(
    leastContext,
    weights.reduce((sum, weight) => sum + weight, 0),
  );
  return segments.map(({ runs }) =>
    Float64Array.from(runs, ({ head, chunks }) => {
      if (!head) return 0;
      const held = weights.reduce((sum, weight, term) => sum + (holds(head, term) ? weight : 0), 0);
      return (1 - 1 / chunks) * (held / all);
    }),
  );
}

function holds({ title, metadata }: NonNullable<PermittedRun['head']>, term: number): boolean {
  return (title[term] ?? 0) + (metadata[term] ?? 0) > 0;
}
