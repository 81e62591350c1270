import type { Reranker } from '../platform/models/reranker.js';
import { inOrderOfPreference, type Question, type ScoredRow } from './arrange.js';
import type { RankedRow } from './ranking.js';

/** How many passages a reranker reads, or as many as are wanted. */
export const leastReranked = 50;

/**
 * Has the best read beside the question by the reranker, whose scores take the place of the legs'. What it was not asked
 * about comes after, in the order it had. Nothing but what the caller may see is sent.
 * @param query as it was asked
 * @throws ProviderFailure
 */
export async function rerank(
  reranker: Reranker,
  rows: RankedRow[],
  query: string,
  question: Question,
): Promise<ScoredRow[]> {
  if (rows.length === 0) return [];
  const ordered = inOrderOfPreference(rows, question);
  const scores = await reranker.scores(
    query,
    ordered
      .slice(0, Math.max(leastReranked, question.topK))
      .map(({ title, section, text }) => [title, ...section, text].join('\n')),
  );
  const worst = Math.min(...scores);
  return ordered.map((row, at) => {
    const reranked = scores[at] ?? null;
    return { ...row, scoredBy: 'reranker', reranked, score: reranked ?? worst };
  });
}
